package postgres

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func modes() []ExecMode { return []ExecMode{CacheStatement, CacheDescribe, Exec} }

func TestDriver_reads_and_writes_every_type(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	moment := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	text := "naïve \"quoted\" \\ 漢字"
	cases := []struct {
		sql  string
		give any
		want any
	}{
		{"select $1::text", text, text},
		{"select $1::text", &text, text},
		{"select $1::text", (*string)(nil), nil},
		{"select $1::text", nil, nil},
		{"select $1::varchar", text, text},
		{"select $1::bool", true, true},
		{"select $1::bool", false, false},
		{"select $1::int2", int16(-7), int64(-7)},
		{"select $1::int4", int32(math.MinInt32), int64(math.MinInt32)},
		{"select $1::int8", int64(math.MaxInt64), int64(math.MaxInt64)},
		{"select $1::int8", -3, int64(-3)},
		{"select $1::float4", float32(1.5), 1.5},
		{"select $1::float8", math.Pi, math.Pi},
		{"select $1::numeric", "12345678901234567890.123456789", "12345678901234567890.123456789"},
		{"select $1::uuid", id, id.String()},
		{"select $1::uuid", tenancy.ID(id), id.String()},
		{"select $1::uuid", id.String(), id.String()},
		{"select $1::uuid", (*tenancy.ID)(nil), nil},
		{"select $1::timestamptz", moment, moment},
		{"select $1::timestamptz", &moment, moment},
		{"select $1::timestamptz", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"select $1::timestamptz", time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC)},
		{"select $1::timestamptz", moment.In(time.FixedZone("", 5*3600)), moment},
		{"select $1::timestamptz", "infinity", "infinity"},
		{"select $1::timestamp", moment, moment},
		{"select $1::date", time.Date(1985, 10, 26, 0, 0, 0, 0, time.UTC), time.Date(1985, 10, 26, 0, 0, 0, 0, time.UTC)},
		{"select $1::date", "-infinity", "-infinity"},
		{"select $1::interval", "1 day 02:03:04", "1 day 02:03:04"},
		{"select $1::bytea", []byte{0, 1, 255}, []byte{0, 1, 255}},
		{"select $1::jsonb", []byte(`{"a": [1, 2]}`), []byte(`{"a": [1, 2]}`)},
		{"select $1::jsonb", `{"a": [1, 2]}`, []byte(`{"a": [1, 2]}`)},
		{"select $1::jsonb", map[string]any{"a": 1}, []byte(`{"a": 1}`)},
		{"select $1::text[]", []string{"a", `b "c", d`, ""}, `{a,"b \"c\", d",""}`},
		{"select $1::text[]", []string{}, `{}`},
		{"select $1::int8[]", []int64{1, 2}, `{1,2}`},
		{"select $1::uuid[]", []uuid.UUID{id}, "{" + id.String() + "}"},
		{"select $1::uuid[]", []tenancy.ID{tenancy.ID(id)}, "{" + id.String() + "}"},
		{"select $1::inet", "10.0.0.1", "10.0.0.1"},
		{"select $1::oid", uint32(math.MaxUint32), int64(math.MaxUint32)},
	}
	for _, mode := range modes() {
		db := s.open(t, Config{ExecMode: mode})
		for _, c := range cases {
			if mode == Exec && c.sql == "select $1::jsonb" && reflect.TypeOf(c.give).Kind() != reflect.String {
				continue // pgx cannot know that this is JSON
			}
			var got any
			err := db.sql.QueryRowContext(t.Context(), c.sql, c.give).Scan(&got)
			if assert.NoErrorf(t, err, "%s: %s of %v", mode, c.sql, c.give) {
				assert.Equalf(t, c.want, got, "%s: %s of %v", mode, c.sql, c.give)
			}
		}
	}
}
