package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// share says which rows are the loaded organization's: every fifth. The others are spread over 800 more.
const share = 5

// idOf is the id of a row, a UUIDv7.
func idOf(i int) string { return fmt.Sprintf("%08x-0000-7000-8000-%012x", 0x01900000+i>>16, i) }

// fill makes the rows, and the indexes after them.
func (s *show) fill(ctx context.Context) error {
	s.say("making %d customers", s.rows)
	sqlID := func(i string) string { // idOf
		return "(lpad(to_hex(26214400 + (" + i + " >> 16)), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(" + i + "), 12, '0'))::uuid"
	}
	sql := strings.NewReplacer(
		"{share}", strconv.Itoa(share), "{large}", "'"+s.api.tenant+"'::uuid", "{rows}", strconv.Itoa(s.rows),
		"{owner}", "('00000000-0000-7000-8000-' || lpad(to_hex(i % 1000), 12, '0'))::uuid",
		"{id}", sqlID("i"), "{first}", sqlID("(case when i % 5 = 0 then 5 else i % 1000 end)"),
	).Replace
	return s.stand.Exec(
		ctx,
		"set session_replication_role = replica", "set maintenance_work_mem = '512MB'", "set synchronous_commit = off",
		`create temp table dropped as select x.indexrelid::regclass::text as name, pg_get_indexdef(x.indexrelid) as definition
			from pg_index x where x.indrelid = 'customers'::regclass and not exists (select from pg_constraint c where c.conindid = x.indexrelid)`,
		`do $$ declare name text; begin for name in select d.name from dropped d loop execute 'drop index ' || name; end loop; end $$`,
		sql(`insert into tenants (id, name, created_at, updated_at)
			select {owner}, 'Organization ' || i, now(), now() from generate_series(1, 999) i where i % {share} <> 0`),
		sql(`insert into customers (tenant_id, id, version, created_at, updated_at, name, segment, referred_by)
			select case when i % {share} = 0 then {large} else {owner} end, {id}, 1, now(), now(), 'Ada Lovelace', 'small', {first}
			from generate_series(1, {rows}) i`),
		`do $$ declare made text; begin for made in select d.definition from dropped d loop execute made; end loop; end $$`,
		"vacuum analyze customers", "checkpoint",
	)
}
