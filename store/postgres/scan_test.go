package postgres

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestRowPlan(t *testing.T) {
	t.Parallel()
	registerSerializers()
	planOf := func(t *testing.T, model any) *rowPlan {
		t.Helper()
		s, err := schema.Parse(model, &sync.Map{}, schema.NamingStrategy{})
		require.NoError(t, err)
		return newRowPlan(s)
	}
	t.Run("every_resource_has_one", func(t *testing.T) {
		t.Parallel()
		for _, d := range catalog.All() {
			p := planOf(t, d.New())
			if assert.NotNil(t, p, d.Name) {
				assert.Len(t, p.fields, len(p.columns))
			}
		}
	})
	t.Run("a_model_with_a_field_that_it_cannot_set_has_none", func(t *testing.T) {
		t.Parallel()
		assert.Nil(t, planOf(t, &memo{}), "an optional id")
		assert.Nil(t, planOf(t, &struct {
			*resource.Base

			Name string
		}{}), "an embedded pointer")
	})
	t.Run("a_value_that_does_not_fit_is_an_error", func(t *testing.T) {
		t.Parallel()
		var o orders.Order
		p := planOf(t, &o)
		for i, name := range p.columns {
			c := cell{plan: &p.fields[i], field: reflect.ValueOf(&o).Elem().FieldByIndex(p.fields[i].index)}
			if name == "custom" || name == "lines" || name == "tags" {
				require.Error(t, c.Scan("{"), name)
				continue
			}
			require.Error(t, c.Scan(struct{}{}), name)
		}
	})
	t.Run("numbers_stay_as_they_were_written_where_the_type_does_not_say_what_they_are", func(t *testing.T) {
		t.Parallel()
		assert.True(t, holdsAnything(reflect.TypeFor[map[string]any](), nil))
		assert.True(t, holdsAnything(reflect.TypeFor[[]audit.Change](), nil))
		assert.False(t, holdsAnything(reflect.TypeFor[[]orders.Line](), nil))
	})
}

func TestRowPlan_reads_what_gorm_reads(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	require.NoError(t, s.App.Register(&orders.Order{}))
	scope := s.Tenant(t)
	customer := tenancy.NewID()
	s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, name) values ($1, $2, 1, now(), now(), 'c')`,
		scope.Tenant.String(), customer.String())
	for _, row := range [][]any{
		{"a", nil, "", 0, "[]", "{}", "{}"},
		{
			"b", time.Date(1996, 7, 4, 1, 2, 3, 456789000, time.UTC), "line\nline", 9007199254740993, `[{"sku":"x","quantity":9007199254740993,"other":1}]`,
			`{a,"b c","d\"e\\f",NULL}`, `{"n":12345678901234567890,"deep":{"list":[1.10,null,"x"]}}`,
		},
		{"c", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "ü", 1, "null", `{"null",""}`, "null"},
	} {
		s.Exec(t, `insert into orders (tenant_id, id, version, created_at, updated_at, customer_id, currency, status,
			number, placed_at, note, total_cents, lines, tags, custom)
			values ($1, gen_random_uuid(), 7, now(), now(), $2, 'EUR', 'draft', $3, $4, $5, $6, $7, $8, $9)`,
			append([]any{scope.Tenant.String(), customer.String()}, row...)...)
	}
	ctx := t.Context()
	tx := func() *gorm.DB { return s.App.Scoped(ctx, scope).Order("number") }
	st := &gorm.Statement{DB: s.App.gorm}
	require.NoError(t, st.Parse(&orders.Order{}))
	columns := slices.Clone(st.Schema.DBNames)
	slices.Reverse(columns) // in an order of its own, so that gorm reads it

	var planned, byGorm []orders.Order
	require.NoError(t, tx().Find(&planned).Error)
	require.NoError(t, tx().Select(columns).Find(&byGorm).Error)
	require.Len(t, planned, 3)
	assert.Equal(t, byGorm, planned)
	assert.NotNil(t, planned[0].Custom)
	assert.Equal(t, int64(9007199254740993), planned[1].Lines[0].Quantity)
	assert.Equal(t, time.UTC, planned[1].PlacedAt.Location())

	var pointers []*orders.Order
	found := tx().Find(&pointers)
	require.NoError(t, found.Error)
	assert.Equal(t, int64(3), found.RowsAffected)
	assert.Equal(t, planned[2], *pointers[2])

	again := make([]orders.Order, 2, 8)
	require.NoError(t, tx().Where("number = ?", "b").Find(&again).Error)
	assert.Equal(t, planned[1:2], again, "what the slice held is gone")

	var one orders.Order
	require.NoError(t, tx().Take(&one).Error)
	assert.Equal(t, planned[0], one)
	require.ErrorIs(t, tx().Where("number = ?", "z").Take(&one).Error, gorm.ErrRecordNotFound)
	none := tx().Where("number = ?", "z").Find(&again)
	require.NoError(t, none.Error)
	assert.Empty(t, again)
	assert.Zero(t, none.RowsAffected)
}
