// Package storetest gives each test a store over a migrated database of its own.
//
// Tests of every module that needs the real store call New. It is never linked into a process of the product.
package storetest

import (
	"context"
	"testing"

	"github.com/groundwork-saas/groundwork/store/databasetest"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/sqltest"
)

// Stack is a database of the test's own, and the store over it as the API's role sees it.
type Stack struct {
	*databasetest.Database

	DB *postgres.DB
}

// New returns a stack that ends with the test.
func New(tb testing.TB) *Stack {
	tb.Helper()
	d := databasetest.New(tb)
	s := &Stack{Database: d}
	s.DB = s.Open(tb, postgres.Config{URL: d.AppURL})
	return s
}

// Open opens the database in another way; it is closed with the test. A pool of 8 connections is the default.
func (s *Stack) Open(tb testing.TB, config postgres.Config) *postgres.DB {
	tb.Helper()
	if config.URL == "" {
		config.URL = s.AppURL
	}
	if config.MaxConnections == 0 {
		config.MaxConnections = 8
	}
	observe := config.Observe
	config.Observe = func(ctx context.Context, statement postgres.Statement) {
		if !statement.System { // the job engine's go across tenants by design
			sqltest.Sent.Record(statement.SQL)
		}
		if observe != nil {
			observe(ctx, statement)
		}
	}
	sqltest.Sent.Tables(s.TenantTables(tb)...)
	db, err := postgres.Open(tb.Context(), config)
	if err != nil {
		tb.Fatalf("open the store: %v", err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close the store: %v", err)
		}
	})
	return db
}
