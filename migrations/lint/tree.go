package lint

import (
	"encoding/json"
	"strings"
)

// The parts of PostgreSQL's parse tree that the rules look at, as libpg_query writes them. A node has one of its
// fields set; what is not named here stays in raw.

type tree struct {
	Stmts []struct {
		Stmt     node `json:"stmt"`
		Location int  `json:"stmt_location"`
		Length   int  `json:"stmt_len"`
	} `json:"stmts"`
}

type node struct {
	kind string
	raw  map[string]json.RawMessage
}

// UnmarshalJSON keeps the node as it is; its kind is the name of its only field.
func (n *node) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &n.raw); err != nil {
		return err
	}
	for kind := range n.raw {
		n.kind = kind
	}
	return nil
}

// as reads the node as what its kind says; nothing where it is of another shape.
func as[T any](n node) (value T) {
	_ = json.Unmarshal(n.raw[n.kind], &value) // libpg_query has just written it
	return value
}

type relation struct {
	Schema      string `json:"schemaname"`
	Name        string `json:"relname"`
	Inherits    bool   `json:"inh"` // false for ONLY
	Persistence string `json:"relpersistence"`
}

// name is the table's, with its schema where that is not public.
func (r relation) name() string { return qualified([]string{r.Schema, r.Name}) }

func qualified(names []string) string {
	if len(names) > 1 && (names[0] == "" || names[0] == "public") {
		names = names[1:]
	}
	return strings.Join(names, ".")
}

type alterTable struct {
	Relation relation `json:"relation"`
	Commands []node   `json:"cmds"`
	Object   string   `json:"objtype"`
}

type alterCommand struct {
	Subtype   string `json:"subtype"`
	Name      string `json:"name"`
	Def       node   `json:"def"`
	MissingOK bool   `json:"missing_ok"`
}

type columnDef struct {
	Name        string   `json:"colname"`
	Type        typeName `json:"typeName"`
	Constraints []node   `json:"constraints"`
}

type typeName struct {
	Names []node `json:"names"`
}

func (t typeName) name() string { return qualified(stringsOf(t.Names)) }

type constraint struct {
	Type      string   `json:"contype"`
	Name      string   `json:"conname"`
	NotValid  bool     `json:"skip_validation"`
	Keys      []node   `json:"keys"`
	Columns   []node   `json:"fk_attrs"`
	Target    relation `json:"pktable"`
	Index     string   `json:"indexname"`
	Expr      node     `json:"raw_expr"`
	Generated string   `json:"generated_when"`
}

type createTable struct {
	Relation relation `json:"relation"`
	Elements []node   `json:"tableElts"`
	Bound    *node    `json:"partbound"`
}

type createIndex struct {
	Name       string   `json:"idxname"`
	Relation   relation `json:"relation"`
	Params     []node   `json:"indexParams"`
	Unique     bool     `json:"unique"`
	Concurrent bool     `json:"concurrent"`
	IfMissing  bool     `json:"if_not_exists"`
}

type indexElem struct {
	Name string `json:"name"`
}

type drop struct {
	Objects    []node `json:"objects"`
	Type       string `json:"removeType"`
	MissingOK  bool   `json:"missing_ok"`
	Concurrent bool   `json:"concurrent"`
}

type rename struct {
	Type     string   `json:"renameType"`
	Relation relation `json:"relation"`
	Column   string   `json:"subname"`
}

// onRelation is a statement of which only the table counts.
type onRelation struct {
	Relation relation `json:"relation"`
	Table    relation `json:"table"`
}

type selectStatement struct {
	Targets []node `json:"targetList"`
	From    []node `json:"fromClause"`
}

type resTarget struct {
	Value node `json:"val"`
}

type funcCall struct {
	Name []node `json:"funcname"`
	Args []node `json:"args"`
}

type list struct {
	Items []node `json:"items"`
}

type text struct {
	Value string `json:"sval"`
}

type literal struct {
	String *text `json:"sval"`
	IsNull bool  `json:"isnull"`
}

// stringsOf are nodes that are names.
func stringsOf(nodes []node) []string {
	var all []string
	for _, n := range nodes {
		if n.kind == "String" {
			all = append(all, as[text](n).Value)
		}
	}
	return all
}

// objectName is that of something that is dropped: a table, an index, a function, or a table and what is on it.
func objectName(n node) []string {
	switch n.kind {
	case "List":
		return stringsOf(as[list](n).Items)
	case "ObjectWithArgs":
		return stringsOf(as[struct {
			Name []node `json:"objname"`
		}](n).Name)
	case "TypeName":
		return stringsOf(as[typeName](n).Names)
	default:
		return stringsOf([]node{n})
	}
}

// within calls visit with each node below a node, and itself; visit says whether to go on below it.
func within(n node, visit func(node) bool) {
	if n.kind == "" || !visit(n) {
		return
	}
	var value any
	_ = json.Unmarshal(n.raw[n.kind], &value) // libpg_query has just written it
	walk(value, visit)
}

func walk(value any, visit func(node) bool) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			walk(item, visit)
		}
	case map[string]any:
		for kind, item := range v {
			if inner, isObject := item.(map[string]any); isObject && kind[0] >= 'A' && kind[0] <= 'Z' {
				data, err := json.Marshal(inner)
				if err == nil && !visit(node{kind: kind, raw: map[string]json.RawMessage{kind: data}}) {
					continue
				}
			}
			walk(item, visit)
		}
	}
}

// nodeOf makes a node of a value.
func nodeOf(kind string, value any) node {
	data, err := json.Marshal(value)
	if err != nil {
		return node{}
	}
	return node{kind: kind, raw: map[string]json.RawMessage{kind: data}}
}
