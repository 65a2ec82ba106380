package resource_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func define[T any, P interface {
	*T
	resource.Entity
}](options resource.Options,
) func() {
	return func() { resource.Define[T, P](options) }
}

// lateBase is an entity, and has its base in the wrong place.
type lateBase struct {
	Name string `json:"name" api:"plain"`
	resource.Base
}

// ownHead is an entity without a base.
type ownHead struct {
	Name string `json:"name" api:"plain"`
}

func (*ownHead) Head() *resource.Base { return &resource.Base{} }

func TestDefine_panics_where_a_declaration_does_not_add_up(t *testing.T) {
	t.Parallel()
	type (
		good   struct{ resource.Base }
		noJSON struct {
			resource.Base
			Name string `api:"plain"`
		}
		hidden struct {
			resource.Base
			Name string `json:"-" api:"plain"`
		}
		camel struct {
			resource.Base
			Name string `json:"firstName" api:"plain"`
		}
		dotted struct {
			resource.Base
			Name string `json:"a.b" api:"plain"`
		}
		tenant struct {
			resource.Base
			Name string `json:"tenant_id" api:"plain"`
		}
		unclassified struct {
			resource.Base
			Name string `json:"name"`
		}
		emptyClass struct {
			resource.Base
			Name string `json:"name" api:""`
		}
		unknownOption struct {
			resource.Base
			Name string `json:"name" api:"filter,sorted"`
		}
		base struct {
			resource.Base
			Name int64 `json:"version" api:"plain"`
		}
		float struct {
			resource.Base
			Rate float64 `json:"rate" api:"plain"`
		}
		nested struct {
			resource.Base
			Lines []int64 `json:"lines" api:"plain"`
		}
		nullList struct {
			resource.Base
			Tags *[]string `json:"tags" api:"plain"`
		}
		nullObject struct {
			resource.Base
			Custom *map[string]any `json:"custom" api:"plain"`
		}
		unkept struct {
			resource.Base
			Tags []string `json:"tags" api:"plain"`
		}
		sortedList struct {
			resource.Base
			Tags []string `json:"tags" api:"sort" gorm:"serializer:text_list"`
		}
		sortedBool struct {
			resource.Base
			Is bool `json:"is" api:"sort"`
		}
		sortedObject struct {
			resource.Base
			Custom map[string]any `json:"custom" api:"filter,sort" gorm:"serializer:json"`
		}
		uniqueList struct {
			resource.Base
			Tags []string `json:"tags" api:"unique" gorm:"serializer:text_list"`
		}
		searchedTime struct {
			resource.Base
			At time.Time `json:"at" api:"search"`
		}
		scanOnly struct {
			resource.Base
			Name string `json:"name" api:"scan"`
		}
		limitFilter struct {
			resource.Base
			Limit int64 `json:"limit" api:"filter"`
		}
	)
	type (
		referring struct {
			resource.Base
			OwnerID tenancy.ID `json:"owner_id" api:"filter"`
			OtherID string     `json:"other_id" api:"filter"`
			Parent  tenancy.ID `json:"parent"   api:"filter"`
		}
		ambiguous struct {
			resource.Base
			OwnerID tenancy.ID `json:"owner_id" api:"filter"`
			Owner   string     `json:"owner"    api:"filter"`
		}
		countedUp struct {
			resource.Base
			Number int64 `json:"number" api:"unique,sequence"`
		}
		repeating struct {
			resource.Base
			Number string `json:"number" api:"sequence"`
		}
	)
	thing := resource.Define[good](resource.Options{Name: "thing", Plural: "things"})
	refers := func(name string, to *resource.Definition) resource.Options {
		return resource.Options{Name: "thing", Plural: "things", References: map[string]*resource.Definition{name: to}}
	}
	nothing := func(*good, time.Time) error { return nil }
	acts := func(name, done string) resource.Options {
		return resource.Options{Name: "thing", Plural: "things", Acts: []resource.Act{resource.ActOf(name, done, nothing)}}
	}
	options := resource.Options{Name: "thing", Plural: "things"}
	sorted := func(order string) resource.Options {
		return resource.Options{Name: "thing", Plural: "things", DefaultSort: order}
	}
	for name, c := range map[string]struct {
		define func()
		says   string
	}{
		"no name":                {define[good](resource.Options{Plural: "things"}), "needs a name and a plural"},
		"no plural":              {define[good](resource.Options{Name: "thing"}), "needs a name and a plural"},
		"no base":                {define[ownHead](options), "the first field of resource_test.ownHead must be resource.Base"},
		"a base that is late":    {define[lateBase](options), "the first field of resource_test.lateBase must be resource.Base"},
		"no json name":           {define[noJSON](options), "noJSON.Name needs a json name in snake_case"},
		"no JSON at all":         {define[hidden](options), "hidden.Name needs a json name in snake_case"},
		"camel case":             {define[camel](options), "camel.Name needs a json name in snake_case"},
		"a dot":                  {define[dotted](options), "dotted.Name needs a json name in snake_case"},
		"the tenant":             {define[tenant](options), "tenant.Name needs a json name in snake_case"},
		"no class":               {define[unclassified](options), "unclassified.Name is not classified; add an api tag"},
		"an empty class":         {define[emptyClass](options), "emptyClass.Name is not classified; add an api tag"},
		"an unknown option":      {define[unknownOption](options), `unknownOption.Name has an unknown api option "sorted"`},
		"a name of the base":     {define[base](options), `base has two fields named "version"`},
		"a float":                {define[float](options), "float.Rate has a type that a resource cannot keep: float64"},
		"a list of numbers":      {define[nested](options), "nested.Lines has a type that a resource cannot keep"},
		"a list that is null":    {define[nullList](options), "nullList.Tags has a type that a resource cannot keep: *[]string"},
		"an object that is null": {define[nullObject](options), "nullObject.Custom has a type that a resource cannot keep"},
		"a list nobody can keep": {define[unkept](options), `unkept.Tags holds text_list and does not say how it is kept; tag it gorm:"serializer:text_list"`},
		"a sorted list":          {define[sortedList](options), "which has no order to sort by"},
		"a sorted boolean":       {define[sortedBool](options), "which has no order to sort by"},
		"a sorted object":        {define[sortedObject](options), "which has no order to sort by"},
		"a unique list":          {define[uniqueList](options), "which cannot be unique"},
		"a time to search":       {define[searchedTime](options), "no text to search"},
		"a scan for nothing":     {define[scanOnly](options), "scanOnly.Name is marked scan, which says nothing without filter or sort"},
		"a parameter's name":     {define[limitFilter](options), "limitFilter.Limit cannot be filtered by: a list's parameter has this name"},
		"an unknown default":     {define[good](sorted("name")), `the default sort of resource_test.good: cannot sort by "name"`},
		"a number in turn":       {define[countedUp](options), "countedUp.Number is a sequence, which must be a string and unique"},
		"a number given twice":   {define[repeating](options), "repeating.Number is a sequence, which must be a string and unique"},
		"no such reference":      {define[referring](refers("sender_id", thing)), `refers by "sender_id", which is no field that holds an id`},
		"a reference of text":    {define[referring](refers("other_id", thing)), `refers by "other_id", which is no field that holds an id`},
		"an unnamed reference":   {define[referring](refers("parent", thing)), `refers by "parent", which is no field that holds an id and is named so`},
		"itself by its id":       {define[referring](refers("id", thing)), `refers by "id"`},
		"two of one name":        {define[ambiguous](refers("owner_id", thing)), `is answered as "owner", and has a field of that name`},
		"nobody's id":            {define[referring](refers("owner_id", nil)), `refers by "owner_id" to nothing`},
		"a nameless act":         {define[good](acts("", "done")), `the act "" of resource_test.good needs a name`},
		"an act without an end":  {define[good](acts("start", "")), "needs a name and what is then done"},
		"an act in two words":    {define[good](acts("Start up", "started")), "in snake_case"},
		"an act of every one":    {define[good](acts("restore", "brought_back")), "has the name of a route that every resource has"},
		"another's event":        {define[good](acts("make", "created")), "has an event that means something else of every resource"},
		"a default twice":        {define[good](sorted("created_at,-created_at")), `names "created_at" twice`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				said, ok := recover().(string)
				assert.True(t, ok, "it does not panic with a text")
				assert.Contains(t, said, "resource: ")
				assert.Contains(t, said, c.says)
			}()
			c.define()
		})
	}
}
