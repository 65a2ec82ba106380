package lint

// plane is whose a table is.
type plane int

const (
	unknownPlane plane = iota
	tenantPlane
	controlPlane
)

// schema is what the migrations so far have made, as far as the rules ask.
type schema struct {
	planes map[string]plane
	// indexes are the tables by index.
	indexes map[string]string
	// checks are the columns by the constraint that says that they are not null, as "table.constraint".
	checks map[string]string
	// notNull are the columns of which a validated constraint says so, as "table.column".
	notNull map[string]bool
}

func newSchema() *schema {
	return &schema{planes: map[string]plane{}, indexes: map[string]string{}, checks: map[string]string{}, notNull: map[string]bool{}}
}

// noteCheck remembers a constraint that says that a column is not null.
func (s *schema) noteCheck(table string, con constraint) {
	if con.Type != "CONSTR_CHECK" || con.Expr.kind != "NullTest" {
		return
	}
	test := as[struct {
		Arg  node   `json:"arg"`
		Type string `json:"nulltesttype"`
	}](con.Expr)
	column := as[struct {
		Fields []node `json:"fields"`
	}](test.Arg)
	names := stringsOf(column.Fields)
	if test.Type != "IS_NOT_NULL" || test.Arg.kind != "ColumnRef" || len(names) != 1 {
		return
	}
	s.checks[table+"."+con.Name] = names[0]
	if !con.NotValid {
		s.notNull[table+"."+names[0]] = true
	}
}

func (s *schema) noteValid(table, name string) {
	if column, isCheck := s.checks[table+"."+name]; isCheck {
		s.notNull[table+"."+column] = true
	}
}
