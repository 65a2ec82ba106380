// Package migrationstest proves the migrations against a real PostgreSQL. It stands here because the migrations
// module imports none of ours and a test of it needs a server, which platform/devstack starts wherever store's tests
// get theirs. It holds tests only; nothing calls it.
package migrationstest
