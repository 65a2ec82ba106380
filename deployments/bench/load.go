package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// The rows are a function of their number i, so that every contestant can name one at random without asking. Orders
// stand in the order of their time, the tenants' mixed as they would be; every fifth is the large tenant's.
const (
	largeShare = 5
	// firstMillis and stepMillis make the times that ids begin with: 2025, an order each 31 seconds.
	firstMillis = 1_735_689_600_000
	stepMillis  = 31_000
	// customersPer is how many orders a customer has on average.
	customersPer = 20
	// listed is the status that lists are filtered by: 60 % of the orders have it.
	listed = "shipped"
)

// orderID is the SQL of an order's id for the SQL of its number.
func orderID(i string) string {
	return fmt.Sprintf("(lpad(to_hex(%d + (%s)::bigint * %d), 12, '0') || '70008000' || lpad(to_hex((%s)::bigint), 12, '0'))::uuid",
		firstMillis, i, stepMillis, i)
}

// idOf is the same in Go.
func idOf(i int) string {
	return formatID(uint64(firstMillis+i*stepMillis), 0x7000, 0x8000, uint64(i)) //nolint:gosec // never negative
}

// customerOf is the id of the large tenant's customer number n.
func customerOf(n int) string {
	return formatID(firstMillis, 0x7000, 0x8001, uint64(n)) //nolint:gosec // never negative
}

func formatID(millis uint64, version, variant uint16, n uint64) string {
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", millis>>16, millis&0xffff, version, variant, n)
}

func (s *stack) largeOrders() int    { return s.rows / largeShare }
func (s *stack) largeCustomers() int { return max(1, s.largeOrders()/customersPer) }

// load fills both databases. Foreign keys are not checked row by row, since what is loaded is made to fit; indexes are
// made when the rows are there.
func (s *stack) load(ctx context.Context) error {
	began := time.Now()
	s.say("loading %d orders of %d tenants", s.rows, s.tenants)
	for _, database := range []string{manyTenants, oneTenant} {
		if err := s.execAll(ctx, database, s.loading(database == oneTenant)...); err != nil {
			return err
		}
	}
	s.say("loaded in %s", time.Since(began).Round(time.Second))
	return nil
}

//nolint:revive // the large tenant stands alone or it does not
func (s *stack) loading(alone bool) []string {
	number := func(id, part, n string) string {
		return fmt.Sprintf("(lpad(to_hex(%s), 12, '0') || '7000%s' || lpad(to_hex((%s)::bigint), 12, '0'))::uuid", id, part, n)
	}
	first := fmt.Sprintf("%d::bigint", firstMillis)
	tenant := fmt.Sprintf("CASE WHEN i %% %d = 0 THEN '%s'::uuid ELSE %s END", largeShare, s.tenant, number(first, "8002", "owner"))
	const others = 20 // customers of each other tenant
	step := 1
	if alone {
		step = largeShare
	}
	statements := []string{
		"SET session_replication_role = replica",
		"SET timezone = 'UTC'",
		"SET maintenance_work_mem = '512MB'",
		`CREATE TEMP TABLE dropped AS SELECT x.indexrelid::regclass::text AS name, pg_get_indexdef(x.indexrelid) AS definition
FROM pg_index x WHERE x.indrelid IN ('orders'::regclass, 'customers'::regclass)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid)`,
		`DO $$ DECLARE name text; BEGIN FOR name IN SELECT d.name FROM dropped d LOOP EXECUTE 'DROP INDEX ' || name; END LOOP; END $$`,
		fmt.Sprintf(`INSERT INTO customers (tenant_id, id, version, created_at, updated_at, code, name, email)
SELECT '%s', %s, 1, to_timestamp(%d / 1000.0), to_timestamp(%d / 1000.0), 'C' || n, 'Customer ' || n, 'c' || n || '@example.com'
FROM generate_series(1, %d) n`, s.tenant, number(first, "8001", "n"), firstMillis, firstMillis, s.largeCustomers()),
		strings.NewReplacer("{tenant}", tenant, "{id}", orderID("i"), "{customer}",
			fmt.Sprintf("CASE WHEN i %% %d = 0 THEN %s ELSE %s END", largeShare,
				number(first, "8001", fmt.Sprintf("1 + (i / %d) %% %d", largeShare, s.largeCustomers())),
				number(first, "8003", fmt.Sprintf("owner * %d + i %% %d", others, others))),
			"{from}", fmt.Sprint(step), "{to}", fmt.Sprint(s.rows), "{step}", fmt.Sprint(step),
			"{owners}", fmt.Sprint(s.tenants-1), "{first}", first, "{millis}", fmt.Sprint(stepMillis)).Replace(
			`INSERT INTO orders (tenant_id, id, version, created_at, updated_at, customer_id, number, currency, status,
  placed_at, paid_at, shipped_at, cancelled_at, note, total_cents, lines, tags, custom)
SELECT {tenant}, {id}, 1, at, at, {customer}, 'B' || i, 'EUR', status,
  CASE WHEN status <> 'draft' THEN at END, CASE WHEN status IN ('paid', 'shipped') THEN at END,
  CASE WHEN status = 'shipped' THEN at END, CASE WHEN status = 'cancelled' THEN at END, '',
  2 * price + price,
  jsonb_build_array(
    jsonb_build_object('sku', 'SKU-' || i % 1000, 'description', 'Something that is sold', 'quantity', 2,
      'unit_price_cents', price, 'discount_bp', 0, 'total_cents', 2 * price),
    jsonb_build_object('sku', 'SKU-' || i % 777, 'description', 'Something else', 'quantity', 1,
      'unit_price_cents', price, 'discount_bp', 0, 'total_cents', price)),
  ARRAY['web'], '{}'
FROM (SELECT i, 1 + i % {owners} AS owner, 100 + i % 9900 AS price, to_timestamp(({first} + i::bigint * {millis}) / 1000.0) AS at,
  (ARRAY['shipped', 'shipped', 'shipped', 'shipped', 'shipped', 'shipped', 'paid', 'placed', 'cancelled', 'draft'])[1 + (i / 5) % 10] AS status
  FROM generate_series({from}, {to}, {step}) i) numbered`),
	}
	if !alone {
		statements = append(statements,
			fmt.Sprintf(`INSERT INTO customers (tenant_id, id, version, created_at, updated_at, code, name)
SELECT %s, %s, 1, to_timestamp(%d / 1000.0), to_timestamp(%d / 1000.0), 'C' || n, 'Customer ' || n
FROM generate_series(1, %d) owner, generate_series(0, %d) n`,
				number(first, "8002", "owner"), number(first, "8003", fmt.Sprintf("owner * %d + n", others)),
				firstMillis, firstMillis, s.tenants-1, others-1),
			fmt.Sprintf(`INSERT INTO tenants (id, name, created_at, updated_at)
SELECT %s, 'Tenant ' || owner, now(), now() FROM generate_series(1, %d) owner`, number(first, "8002", "owner"), s.tenants-1))
	}
	return append(statements,
		`DO $$ DECLARE made text; BEGIN FOR made IN SELECT d.definition FROM dropped d LOOP EXECUTE made; END LOOP; END $$`,
		"VACUUM ANALYZE", "CHECKPOINT")
}
