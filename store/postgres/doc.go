// Package postgres keeps the domain's records in PostgreSQL.
//
// It owns the connection pool, the tenant scope on every statement, transactions, and the translation of database
// errors into faults. Domain services call it through the interfaces they declare; only the processes' main packages
// name it. It never decides business rules, and no SQL, gorm type or database error leaves it.
//
// Three things keep tenants apart, each on its own: the clauses that scopes.go adds to every statement, the guards of
// hardening.go that refuse what clauses cannot reach, and PostgreSQL's row level security, for which driver.go sets
// the tenant in the same round trip as the statement.
package postgres
