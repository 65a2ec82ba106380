// Package transfers owns how records come in from files, and go out into them.
//
// An import reads CSV or XLSX row by row, makes records of a resource of the rows by a mapping, and has the resource's own
// service keep them in batches, each with its audit, its events and the mark how far the import has come in one
// transaction: whatever dies meanwhile, no row is taken twice and none is left out. Requests ask for one and a job runs
// it.
//
// An export is read from one moment's state of the records, streamed into a file by a job, and exists whole or not at all.
// What is exported imports again unchanged.
//
// The package holds no whole file in memory and knows neither HTTP nor SQL; stores hand records over one by one.
package transfers
