package resource_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

type grade string

// sample has a field of every kind.
type sample struct {
	resource.Base

	Text    string         `json:"text"     validate:"max=40"           api:"filter,sort,search"`
	Maybe   *string        `json:"maybe"                                api:"filter,unique,personal"`
	Grade   grade          `json:"grade"    validate:"required,oneof=a b" api:"filter,scan"`
	Count   int            `json:"count"                                api:"filter,sort"`
	Cents   *int64         `json:"cents"                                api:"filter,sort"`
	Is      bool           `json:"is"                                   api:"filter"`
	At      *time.Time     `json:"at"                                   api:"filter,sort"`
	OtherID *tenancy.ID    `json:"other_id"                             api:"filter"`
	Tags    []string       `json:"tags"                                 api:"filter,scan,search" gorm:"serializer:text_list"`
	Custom  map[string]any `json:"custom"                               api:"filter,scan" gorm:"serializer:json"`
	Plain   string         `json:"plain"                                api:"plain"`
	Placed  *time.Time     `json:"placed_at"                            api:"readonly"`
	_       int
}

func sampleDefinition() *resource.Definition {
	return resource.Define[sample](resource.Options{Name: "sample", Plural: "samples"})
}

func TestDefine(t *testing.T) {
	t.Parallel()
	d := sampleDefinition()
	assert.Equal(t, "sample", d.Name)
	assert.Equal(t, "samples", d.Plural)
	assert.Equal(t, []string{"samples:read", "samples:write", "samples:delete"}, d.Permissions())
	require.Len(t, d.DefaultSort, 1)
	assert.Equal(t, "id", d.DefaultSort[0].Field.Name)
	assert.True(t, d.DefaultSort[0].Desc, "the newest first")

	kinds := map[string]resource.Kind{}
	var nullable, readOnly []string
	for i := range d.Fields {
		f := &d.Fields[i]
		assert.Same(t, f, d.Field(f.Name))
		kinds[f.Name] = f.Kind
		if f.Nullable {
			nullable = append(nullable, f.Name)
		}
		if f.ReadOnly {
			readOnly = append(readOnly, f.Name)
		}
	}
	assert.Equal(t, map[string]resource.Kind{
		"id": resource.ID, "version": resource.Integer, "created_at": resource.Time, "updated_at": resource.Time,
		"deleted_at": resource.Time, "text": resource.Text, "maybe": resource.Text, "grade": resource.Text,
		"count": resource.Integer, "cents": resource.Integer, "is": resource.Boolean, "at": resource.Time,
		"other_id": resource.ID, "tags": resource.TextList, "custom": resource.Object, "plain": resource.Text,
		"placed_at": resource.Time,
	}, kinds)
	assert.Equal(t, []string{"deleted_at", "maybe", "cents", "at", "other_id", "placed_at"}, nullable)
	assert.Equal(t, []string{"id", "version", "created_at", "updated_at", "deleted_at", "placed_at"}, readOnly)
	assert.Equal(t, []string{"a", "b"}, d.Field("grade").Enum)
	assert.Nil(t, d.Field("text").Enum)
	assert.Nil(t, d.Field("_"))
	maybe := d.Field("maybe")
	assert.True(t, maybe.Filter && maybe.Unique && maybe.Personal && !maybe.Sort && !maybe.Scan && !maybe.Search)

	at := time.Now()
	e := &sample{Grade: "b", Count: 3, Cents: new(int64(4)), Is: true, At: &at, Tags: []string{"x"}}
	for name, want := range map[string]any{
		"grade": "b", "count": int64(3), "cents": int64(4), "is": true, "at": at, "tags": []string{"x"}, "maybe": nil,
		"version": int64(0), "other_id": nil,
	} {
		assert.Equal(t, want, d.Field(name).Value(e), name)
	}
	list := d.NewList(2)
	assert.Empty(t, d.Entities(list))
	typed, ok := list.(*[]*sample)
	require.True(t, ok)
	*typed = append(*typed, e)
	assert.Equal(t, []resource.Entity{e}, d.Entities(list))
	assert.Equal(t, &sample{}, d.New())
}
