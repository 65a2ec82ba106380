package sqltest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/store/sqltest"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	tables := map[string]bool{"orders": true, "lines": true}
	for _, sql := range []string{
		"select 1",
		"select * from users",
		"select * from orders where tenant_id = $1",
		"select * from orders where $1 = orders.tenant_id and (a = 1 or b = 2)",
		"select * from orders o where o.tenant_id = $1::uuid",
		"select * from orders o join lines l on l.tenant_id = $2 and l.order_id = o.id where o.tenant_id = $1",
		"select * from orders o, lines l where o.tenant_id = $1 and l.tenant_id = $1",
		"select * from users where id in (select user_id from orders where tenant_id = $1)",
		"update orders set a = 1 where tenant_id = $1 and id = $2",
		"delete from orders where tenant_id = $1",
		"insert into orders (tenant_id, id) values ($1, $2)",
		"insert into orders (tenant_id, id) values ($1, $2) on conflict do nothing",
		"insert into orders (tenant_id, id) values ($1, $2) on conflict (tenant_id, id) do update set a = 1 where orders.tenant_id = $3",
	} {
		assert.Empty(t, sqltest.Check(sql, tables), sql)
	}
	for _, sql := range []string{
		"select * from orders",
		"select * from orders where id = $1",
		"select * from orders where tenant_id = $1 or true",
		"select * from orders where not tenant_id = $1",
		"select * from orders where tenant_id <> $1",
		"select * from orders where tenant_id = orders.tenant_id",
		"select * from orders o join lines l on l.order_id = o.id where o.tenant_id = $1",
		"select * from orders o join lines l on l.order_id = o.id where tenant_id = $1",
		"select * from orders o, lines l where o.tenant_id = $1",
		"select * from users where id in (select user_id from orders)",
		"select (select count(*) from orders) from users",
		"with x as (select * from orders) select * from x",
		"update orders set a = 1",
		"update orders set tenant_id = $1 where tenant_id = $2",
		"update orders set a = 1 from lines where orders.tenant_id = $1",
		"delete from orders using lines where orders.tenant_id = $1",
		"insert into orders (id) values ($1)",
		"insert into orders values ($1)",
		"insert into users select id from orders",
		"insert into orders (tenant_id, id) values ($1, $2) on conflict (id) do update set a = 1",
		"select $$",
	} {
		assert.NotEmpty(t, sqltest.Check(sql, tables), sql)
	}
}
