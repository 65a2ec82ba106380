package postgres

import (
	"container/list"
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// ExecMode is how statements are sent.
type ExecMode string

// The modes. All but the first work behind a pooler that pools transactions and keeps no prepared statements, such as
// pgbouncer before 1.21.
const (
	// CacheStatement prepares a statement once on each connection: the quickest, and the default.
	CacheStatement ExecMode = "cache_statement"
	// CacheDescribe keeps a statement's types and has it parsed each time.
	CacheDescribe ExecMode = "cache_describe"
	// Exec keeps nothing and sends values as text. Values whose type the server cannot guess need a cast.
	Exec ExecMode = "exec"
)

const (
	// maxPlans is how many statements a connection keeps prepared.
	maxPlans = 512
	// maxPlanText is the longest statement that is kept: longer ones are bulk inserts, no two of which are alike.
	maxPlanText = 8 << 10
)

type stepKind uint8

const (
	stepPlain stepKind = iota
	stepBegin
	stepDeferred
)

// step is one statement in a pipeline; its arguments are args, or raw where they are encoded already, as text.
type step struct {
	sql  string
	args []driver.NamedValue
	raw  [][]byte
	kind stepKind
	plan *plan
	// from and to are where the encoded args stand.
	from, to int
}

// plan is what a connection knows of a statement's text.
type plan struct {
	description pgconn.StatementDescription
	formats     []int16
	columns     []string
	decoders    []decoder
	kept        *list.Element
}

// plans are the statements that a connection keeps, the least recently used of which makes room.
type plans struct {
	bySQL   map[string]*plan
	recent  *list.List // of *plan, the most recent first
	dropped []string   // names to be closed with the next pipeline
	prefix  string     // of the names
	made    uint64
}

// newPlans keeps none yet. The names of its statements are no other connection's: where a pooler hands server connections
// about, a name that another one gave would stand for another statement, which would be run with our values.
func newPlans() *plans {
	return &plans{bySQL: make(map[string]*plan), recent: list.New(), prefix: "gw_" + rand.Text()[:12] + "_"}
}

// forget is plans that keep none, and give no name that was given before.
func (p *plans) forget() *plans {
	return &plans{bySQL: make(map[string]*plan), recent: list.New(), prefix: p.prefix, made: p.made}
}

func (p *plans) get(sql string) *plan {
	found := p.bySQL[sql]
	if found != nil {
		p.recent.MoveToFront(found.kept)
	}
	return found
}

func (p *plans) keep(made *plan) {
	made.kept = p.recent.PushFront(made)
	p.bySQL[made.description.SQL] = made
	if p.recent.Len() > maxPlans {
		if oldest, ok := p.recent.Back().Value.(*plan); ok {
			p.drop(oldest)
		}
	}
}

func (p *plans) drop(old *plan) {
	if old == nil || old.kept == nil {
		return
	}
	p.recent.Remove(old.kept)
	old.kept = nil
	delete(p.bySQL, old.description.SQL)
	if old.description.Name != "" {
		p.dropped = append(p.dropped, old.description.Name)
	}
}

func (p *plans) nextName() string {
	p.made++
	return p.prefix + strconv.FormatUint(p.made, 36)
}

// run sends the steps that are queued in one round trip (two where a statement is new to the connection) and returns
// the last one's result.
func (c *conn) run(ctx context.Context) (*rows, error) {
	if err := c.prepare(ctx); err != nil {
		return nil, c.failed(ctx, err)
	}
	if err := c.encodeAll(); err != nil {
		return nil, c.failed(ctx, err)
	}
	p := c.server.StartPipeline(ctx)
	closing := len(c.plans.dropped)
	for _, name := range c.plans.dropped {
		p.SendDeallocate(name)
	}
	c.plans.dropped = c.plans.dropped[:0]
	for i := range c.steps {
		c.queue(p, &c.steps[i])
	}
	statsOf(ctx).roundTrip()
	err := p.Sync()
	c.encode.reset()
	if err != nil {
		_ = p.Close()
		return nil, c.failed(ctx, err)
	}
	for range closing {
		if _, err := p.GetResults(); err != nil {
			return nil, c.broken(ctx, p, nil, err)
		}
	}
	last := len(c.steps) - 1
	for i := range c.steps[:last] {
		if err := skip(p); err != nil {
			return nil, c.broken(ctx, p, &c.steps[i], err)
		}
		if c.steps[i].kind == stepBegin {
			c.tx.begun = true
		}
	}
	result, err := next(p)
	if err != nil {
		return nil, c.broken(ctx, p, &c.steps[last], err)
	}
	known := c.steps[last].plan
	clear(c.steps) // an idle connection holds on to no arguments
	return c.newRows(ctx, p, result, known), nil
}

// encodeAll encodes the steps' arguments, before anything is queued: what is queued cannot be taken back.
func (c *conn) encodeAll() error {
	c.encode.reset()
	for i := range c.steps {
		s := &c.steps[i]
		if s.raw != nil {
			continue
		}
		s.from = len(c.encode.values)
		var err error
		if s.plan == nil {
			err = c.encode.text(c.pgx.TypeMap(), s.args)
		} else {
			err = c.encode.typed(c.pgx.TypeMap(), s.plan.description.ParamOIDs, s.args)
		}
		if err != nil {
			return err
		}
		s.to = len(c.encode.values)
	}
	return nil
}

// queue puts a step into the pipeline, unsent.
func (c *conn) queue(p *pgconn.Pipeline, s *step) {
	values, formats := s.raw, []int16(nil)
	if s.raw == nil {
		values, formats = c.encode.values[s.from:s.to], c.encode.formats[s.from:s.to]
	}
	switch {
	case s.plan == nil:
		p.SendQueryParams(s.sql, values, nil, formats, nil)
	case s.plan.description.Name == "":
		p.SendQueryParams(s.sql, values, s.plan.description.ParamOIDs, formats, s.plan.formats)
	default:
		p.SendQueryStatement(&s.plan.description, values, formats, s.plan.formats)
	}
}

// prepare finds the plans of the steps, and has those made that are new, all in one round trip.
func (c *conn) prepare(ctx context.Context) error {
	if c.mode == Exec {
		return nil
	}
	var fresh []*plan
	for i := range c.steps {
		s := &c.steps[i]
		if s.plan = c.plans.get(s.sql); s.plan != nil || !isPlannable(s) {
			continue
		}
		if n := slices.IndexFunc(fresh, func(p *plan) bool { return p.description.SQL == s.sql }); n >= 0 {
			s.plan = fresh[n]
			continue
		}
		s.plan = &plan{description: pgconn.StatementDescription{SQL: s.sql}}
		if len(s.sql) <= maxPlanText && c.mode == CacheStatement {
			s.plan.description.Name = c.plans.nextName()
		}
		fresh = append(fresh, s.plan)
	}
	if len(fresh) == 0 {
		return nil
	}
	return c.describe(ctx, fresh)
}

// isPlannable says whether a statement is worth a plan: savepoints and the like take no arguments, return no rows,
// and have ever new names.
func isPlannable(s *step) bool {
	if len(s.args) > 0 || len(s.raw) > 0 {
		return true
	}
	word, _, _ := strings.Cut(strings.TrimLeft(s.sql, " \t\r\n("), " ")
	switch strings.ToLower(word) {
	case "select", "insert", "update", "delete", "with", "values", "begin", "commit":
		return true
	default:
		return false
	}
}

func (c *conn) describe(ctx context.Context, fresh []*plan) error {
	p := c.server.StartPipeline(ctx)
	for _, made := range fresh {
		p.SendPrepare(made.description.Name, made.description.SQL, nil)
	}
	statsOf(ctx).roundTrip()
	if err := p.Sync(); err != nil {
		_ = p.Close()
		return err //nolint:wrapcheck // pgconn's error says it
	}
	for _, made := range fresh {
		result, err := p.GetResults()
		if err != nil {
			_ = p.Close()
			return err //nolint:wrapcheck // a *pgconn.PgError is looked for
		}
		d, ok := result.(*pgconn.StatementDescription)
		if !ok {
			_ = p.Close()
			return fmt.Errorf("postgres: a description was due, and %T came", result)
		}
		made.description.ParamOIDs, made.description.Fields = d.ParamOIDs, d.Fields
		made.complete(c.pgx.TypeMap())
		if len(made.description.SQL) <= maxPlanText {
			c.plans.keep(made)
		}
	}
	return p.Close() //nolint:wrapcheck // pgconn's error says it
}

// complete works out how the statement's columns are asked for and read.
func (p *plan) complete(types *pgtype.Map) {
	n := len(p.description.Fields)
	p.formats, p.columns, p.decoders = make([]int16, n), make([]string, n), make([]decoder, n)
	for i, f := range p.description.Fields {
		p.columns[i] = f.Name
		p.formats[i] = formatOf(f.DataTypeOID)
		p.decoders[i] = decoderOf(types, f.DataTypeOID, p.formats[i])
	}
}

// next is the result of the next step.
func next(p *pgconn.Pipeline) (*pgconn.ResultReader, error) {
	result, err := p.GetResults()
	if err != nil {
		return nil, err //nolint:wrapcheck // a *pgconn.PgError is looked for
	}
	reader, ok := result.(*pgconn.ResultReader)
	if !ok {
		return nil, fmt.Errorf("postgres: a result was due, and %T came", result)
	}
	return reader, nil
}

// skip reads a step's result to its end.
func skip(p *pgconn.Pipeline) error {
	reader, err := next(p)
	if err != nil {
		return err
	}
	_, err = reader.Close()
	return err //nolint:wrapcheck // a *pgconn.PgError is looked for
}

// broken ends a pipeline in which a step failed.
func (c *conn) broken(ctx context.Context, p *pgconn.Pipeline, s *step, err error) error {
	_ = p.Close()
	if s != nil {
		c.outdate(s.plan, err)
		if s.kind == stepDeferred {
			err = fmt.Errorf("deferred statement: %w", err)
		}
	}
	return c.failed(ctx, err)
}

// outdate drops a plan with which a statement failed for a reason that another plan may not have.
func (c *conn) outdate(p *plan, err error) {
	if p == nil {
		return
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return
	}
	switch {
	case pg.Code[:2] == "26": // the server forgot the statement, and so the others
		c.plans = c.plans.forget()
	case pg.Code[:2] == "0A", pg.Code[:2] == "42", pg.Code[:2] == "XX", pg.Code == "22P03", pg.Code == "08P01":
		c.plans.drop(p)
	}
}
