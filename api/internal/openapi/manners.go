package openapi

import _ "embed" // the text stands in a file of its own

// manners is what holds for every operation: the document's introduction, in Markdown.
//
//go:embed manners.md
var manners string
