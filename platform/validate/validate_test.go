package validate_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/validate"
)

type base struct {
	ID string `json:"id" validate:"required"`
}

type line struct {
	SKU      string            `json:"sku"      validate:"required,max=3"`
	Quantity int               `json:"quantity" validate:"min=1"`
	Options  map[string]option `json:"options"  validate:"dive"`
}

type option struct {
	Value string `json:"value" validate:"max=2"`
}

type order struct {
	base

	Number   *string           `json:"number,omitempty" validate:"omitempty,max=4"`
	Lines    []*line           `json:"lines"            validate:"required,max=3,dive,required"`
	Tags     []string          `json:"tags"             validate:"dive,max=3"`
	Labels   map[string]string `json:"labels"           validate:"dive,keys,max=9,endkeys,max=3"`
	ByYear   map[int][]string  `json:"by_year"          validate:"dive,dive,max=3"`
	Odd      string            `json:"a/b~c.d[e]"       validate:"max=1"`
	Hidden   string            `json:"-"                validate:"max=1"`
	Untagged string            `validate:"max=1"`
	Address  struct {
		City string `json:"city" validate:"max=3"`
	} `json:"address"`
}

// faults validates and returns "pointer rule=param" of each fault.
func faults(value any) []string {
	list := []string{}
	validate.New().Validate(value, func(pointer, rule, param string) {
		list = append(list, pointer+" "+rule+"="+param)
	})
	return list
}

func good() *order {
	return &order{base: base{ID: "1"}, Lines: []*line{{SKU: "abc", Quantity: 1}}}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	long := "too long"

	t.Run("says_nothing_of_what_is_right", func(t *testing.T) {
		t.Parallel()
		assert.Empty(t, faults(good()))
		assert.Empty(t, faults(*good()))
		assert.Empty(t, faults([]*order{good(), good()}))
		assert.Empty(t, faults([]order{}))
	})

	t.Run("says_where_each_fault_stands", func(t *testing.T) {
		t.Parallel()
		o := good()
		o.ID, o.Number, o.Odd, o.Hidden, o.Untagged, o.Address.City = "", &long, long, long, long, long
		o.Lines = append(o.Lines, &line{SKU: long, Options: map[string]option{"size": {}, "a/b": {Value: long}}}, nil)
		o.Tags = []string{"vip", long}
		o.Labels = map[string]string{"ok": "ok", "x.y": long, "much too long": "x"}
		o.ByYear = map[int][]string{2026: {"a", long}}
		assert.ElementsMatch(t, []string{
			"/id required=", "/number max=4", "/lines/1/sku max=3", "/lines/1/quantity min=1", "/lines/1/options/a~1b/value max=2",
			"/lines/2 required=", "/tags/1 max=3", "/labels/x.y max=3", "/labels/much too long max=9", "/by_year/2026/1 max=3",
			"/a~1b~0c.d[e] max=1", "/Hidden max=1", "/Untagged max=1", "/address/city max=3",
		}, faults(o))
		assert.Equal(t, []string{"/id required=", "/lines required="}, faults(&order{}))
	})

	t.Run("finds_its_way_through_keys_of_any_form", func(t *testing.T) {
		t.Parallel()
		for _, key := range []string{"", "a]b", "a][b", "].Value", "[0]", "a.b", "~/", "~1", "\x00", "é", "Lines[0].SKU"} {
			o := good()
			o.Lines[0].Options = map[string]option{key: {Value: long}, "a": {}}
			want := strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
			assert.Equal(t, []string{"/lines/0/options/" + want + "/value max=2"}, faults(o), strconv.Quote(key))
		}
	})

	t.Run("takes_lists_and_maps_of_structs", func(t *testing.T) {
		t.Parallel()
		bad := good()
		bad.Lines[0].Quantity = 0
		assert.Equal(t, []string{"/1/lines/0/quantity min=1", "/2 required="}, faults([]*order{good(), bad, nil}))
		assert.Equal(t, []string{"/a~1b/lines/0/quantity min=1"}, faults(map[string]any{"a/b": bad, "c": good()}))
		assert.Equal(t, []string{"/x/value max=2"}, faults(map[string]option{"x": {Value: long}}))
		assert.Equal(t, []string{" required="}, faults(nil))
		assert.Equal(t, []string{" required="}, faults((*order)(nil)))
		assert.Equal(t, []string{"/name max=3"}, faults(struct {
			Name string `json:"name" validate:"max=3"`
		}{long}))
		assert.Equal(t, []string{"/item/value max=2"}, faults(generic[option]{Item: option{Value: long}}))
	})

	t.Run("points_to_what_a_JSON_document_has_there", func(t *testing.T) {
		t.Parallel()
		o := good()
		o.Lines[0].Options = map[string]option{"a/b~c": {Value: long}}
		document, err := json.Marshal(o)
		require.NoError(t, err)
		var at any
		require.NoError(t, json.Unmarshal(document, &at))
		pointer, _, _ := strings.Cut(faults(o)[0], " ")
		for part := range strings.SplitSeq(pointer[1:], "/") {
			part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
			switch node := at.(type) {
			case []any:
				i, err := strconv.Atoi(part)
				require.NoError(t, err)
				at = node[i]
			case map[string]any:
				at = node[part]
			}
		}
		assert.Equal(t, long, at)
	})

	t.Run("panics_where_the_program_is_wrong", func(t *testing.T) {
		t.Parallel()
		assert.PanicsWithValue(t, "validate: want a struct, not int", func() { faults(1) })
		assert.Panics(t, func() {
			faults(struct {
				A string `validate:"nonesuch"`
			}{})
		})
	})
}

type generic[T any] struct {
	Item T `json:"item"`
}

func TestRules(t *testing.T) {
	t.Parallel()
	type zone struct {
		V string `json:"v" validate:"timezone"`
	}
	type currency struct {
		V string `json:"v" validate:"currency"`
	}
	type slug struct {
		V string `json:"v" validate:"slug"`
	}
	type notblank struct {
		V string `json:"v" validate:"notblank"`
	}
	type printable struct {
		V string `json:"v" validate:"printable"`
	}
	type note struct {
		V *string `json:"v" validate:"omitempty,printable=lines"`
	}
	for _, c := range []struct {
		make      func(string) any
		want      string
		good, bad []string
	}{
		{
			func(s string) any { return zone{s} }, "/v timezone=",
			[]string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Pacific/Auckland"},
			[]string{"", "Local", "local", "utc", "CET", "EST5EDT", "posix/Europe/Berlin", "localtime", "Europe/Atlantis", "Europe/../Europe/Berlin", "/Europe/Berlin", "Europe/Berlin\x00", "Europe/"},
		},
		{
			func(s string) any { return currency{s} }, "/v currency=",
			[]string{"EUR", "USD", "JPY", "KWD", "CLF"},
			[]string{"", "eur", "EU", "EURO", "XXX", "XTS", "XAU", "ABC"},
		},
		{
			func(s string) any { return slug{s} }, "/v slug=",
			[]string{"a", "acme", "acme-2", "0-1-2"},
			[]string{"", "-", "-a", "a-", "a--b", "Acme", "a_b", "a b", "é", "a\n"},
		},
		{
			func(s string) any { return notblank{s} }, "/v notblank=",
			[]string{"a", " a ", "0"},
			[]string{"", " ", "\t\n", "\u00a0", "\u200b", "\u2003"},
		},
		{
			func(s string) any { return printable{s} }, "/v printable=",
			[]string{"", "Zoë O'Neil", "日本 👩‍👩‍👧", "a\u00a0b"},
			[]string{"a\x00", "\n", "a\tb", "\x7f", "\u0085", "\xff", "a\xc3"},
		},
		{
			func(s string) any { return note{&s} }, "/v printable=lines",
			[]string{"", "a\r\n\tb"},
			[]string{"a\x00", "\x1b[31m", "\xff"},
		},
	} {
		for _, s := range c.good {
			assert.Empty(t, faults(c.make(s)), "%q", s)
		}
		for _, s := range c.bad {
			assert.Equal(t, []string{c.want}, faults(c.make(s)), "%q", s)
		}
	}
}
