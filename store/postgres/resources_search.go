package postgres

import (
	"context"
	"fmt"
	"strconv"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Row level security keeps PostgreSQL from answering by an index what a list holds, what an object holds, and which
// words a record has. So such a list asks the table's find function first, which may, for the ids of the records that
// come into question, and then reads among those as any other list does: with every condition once more, under row level
// security. What the function says can make a list quick, and cannot make it wrong.

const (
	// mostFound is how many records a find function names. Where more match, a page is full sooner by reading the
	// tenant's records in their order.
	mostFound = 1_000
	// mostRanked is how far the records may have grown in number of a search that began with ranks.
	mostRanked = 10_000
	// termsColumn holds what the records of a searchable resource are found by.
	termsColumn = "search_terms"
)

// candidates are the records that come into question for a query.
type candidates struct {
	// words is the tsquery of what is searched for; "" where nothing is.
	words string
	// ids are those that come into question; nil where all of the tenant's do.
	ids []string
	// ranks are how well they match a search that is Ranked.
	ranks map[tenancy.ID]*float32
}

// isEmpty says whether no record comes into question.
func (c candidates) isEmpty() bool { return c.ids != nil && len(c.ids) == 0 }

// wish is a condition on what a list or an object holds, as the database's functions read it.
type wish struct {
	Field string `json:"field"`
	Key   string `json:"key,omitempty"`
	Any   []any  `json:"any,omitempty"`
	All   []any  `json:"all,omitempty"`
}

// wishes are the conditions of a query that its table's terms answer.
func wishes(q resource.Query) []wish {
	var list []wish
	for _, f := range q.Filters {
		w := wish{Field: f.Field.Name, Key: f.Path}
		switch {
		case !inTerms(f.Field):
			continue
		case f.Op == resource.All:
			w.All = f.Values
		default:
			w.Any = f.Values
		}
		list = append(list, w)
	}
	return list
}

// inTerms says whether a field's filters are answered by the terms: those of lists and objects, unless they are declared
// to be scanned for.
func inTerms(f *resource.Field) bool {
	return f.Filter && !f.Scan && (f.Kind == resource.TextList || f.Kind == resource.Object)
}

// find asks for the candidates of a query, up to so many.
func find(tx *gorm.DB, d *resource.Definition, q resource.Query, most int) (candidates, error) {
	if q.Search == "" && len(wishes(q)) == 0 {
		return candidates{}, nil
	}
	var words, ids, ranks *string
	err := findStatement(tx, d, q, most).Row().Scan(&words, &ids, &ranks)
	if err != nil {
		return candidates{}, fmt.Errorf("find %s: %w", d.Plural, err)
	}
	var c candidates
	if words != nil {
		c.words = *words
	}
	if ids == nil {
		return c, nil
	}
	if c.ids, err = parseTextList(*ids); err != nil {
		return candidates{}, err
	}
	if ranks != nil && q.Ranked {
		if c.ranks, err = ranksOf(c.ids, *ranks); err != nil {
			return candidates{}, err
		}
	}
	return c, nil
}

// findStatement is what find sends. The words are turned into a tsquery by the database, as the records' were; the
// statement is raw, since it names no table but a function that knows the tenant.
func findStatement(tx *gorm.DB, d *resource.Definition, q resource.Query, most int) *gorm.DB {
	var search, values any
	if q.Search != "" {
		search = q.Search
	}
	if conditions := wishes(q); len(conditions) > 0 {
		values = jsonOf(conditions)
	}
	return rawOK(tx).Raw(`SELECT wanted.words::text, found.ids::text, found.ranks::text FROM (
			SELECT search_query(current_tenant(), ?::text) AS words, search_query_values(current_tenant(), ?::jsonb) AS values OFFSET 0
		) wanted, find_`+d.Plural+`(
			CASE WHEN ?::text IS NULL OR wanted.words IS NOT NULL THEN coalesce(wanted.words && wanted.values, wanted.words, wanted.values) END,
			CASE WHEN ?::boolean THEN wanted.words END, ?::int) found`,
		search, values, search, q.Ranked, most)
}

// ranksOf are the ranks of records, by their ids.
func ranksOf(ids []string, text string) (map[tenancy.ID]*float32, error) {
	ranks, err := parseTextList(text)
	if err != nil || len(ranks) != len(ids) {
		return nil, fmt.Errorf("read %d ranks: %w", len(ids), err)
	}
	byID := make(map[tenancy.ID]*float32, len(ids))
	for i, text := range ids {
		id, err := tenancy.ParseID(text)
		if err != nil {
			return nil, err
		}
		parsed, err := strconv.ParseFloat(ranks[i], 32)
		if err != nil {
			return nil, fmt.Errorf("read a rank: %w", err)
		}
		rank := float32(parsed)
		byID[id] = &rank
	}
	return byID, nil
}

func terms() clause.Column { return clause.Column{Table: clause.CurrentTable, Name: termsColumn} }

func idColumn() clause.Column { return clause.Column{Table: clause.CurrentTable, Name: "id"} }

// RankRecords returns up to one more than the limit of the records that are searched for, the best matches first and of
// equals the newest; only the newest first, and without ranks, where more than a thousand match.
func (s *Resources) RankRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, q resource.Query,
) ([]resource.Ranked, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	most, goesOn := mostFound, len(q.After) > 0
	hasRank := goesOn && q.After[0] != nil
	if hasRank {
		most = mostRanked
	}
	c, err := find(db.Scoped(ctx, scope), d, q, most)
	if err != nil || c.isEmpty() {
		return nil, resourceFault(err, d)
	}
	if c.ids == nil && hasRank {
		return nil, fault.New(fault.Malformed, "invalid_cursor",
			"So many more records match by now that they have no ranks; start again without the cursor.")
	}
	isRanked := c.ids != nil && (!goesOn || hasRank)
	if !isRanked {
		q.Ranked = false
		if goesOn {
			q.After = q.After[1:]
		}
	}
	rows := d.NewList(q.Limit + 1)
	if err := selectAmong(db.Scoped(ctx, scope), c, d, q).Find(rows).Error; err != nil {
		return nil, resourceFault(err, d)
	}
	entities := d.Entities(rows)
	ranked := make([]resource.Ranked, len(entities))
	for i, e := range entities {
		ranked[i].Entity = e
		if isRanked {
			ranked[i].Rank = c.ranks[e.Head().ID]
		}
	}
	return ranked, nil
}

// selectAmong is a list's statement over the candidates, but for where its rows go.
func selectAmong(tx *gorm.DB, c candidates, d *resource.Definition, q resource.Query) *gorm.DB {
	tx = tx.Model(d.New()).Scopes(Trash(q.Trash))
	var found []clause.Expression // the conditions that the candidates were found by
	if c.words != "" {
		found = append(found, clause.Expr{SQL: "? @@ ?::tsquery", Vars: []any{terms(), c.words}})
	}
	for _, f := range q.Filters {
		if inTerms(f.Field) {
			found = append(found, condition(f))
		} else {
			tx = tx.Where(condition(f))
		}
	}
	switch {
	case c.ids != nil:
		tx = tx.Where(clause.And(found...)).Where(clause.Expr{SQL: "? = ANY(?::uuid[])", Vars: []any{idColumn(), textList(c.ids)}})
	case len(found) > 0:
		// They hold for many records, which PostgreSQL cannot know: it would read all rows and sort them. Of what stands in
		// a CASE it expects that it holds for every other row.
		tx = tx.Where(clause.Expr{SQL: "CASE WHEN ? THEN true ELSE false END", Vars: []any{clause.And(found...)}})
	}
	if q.Ranked {
		if len(q.After) > 0 {
			tx = tx.Where(beyondRank(c, q))
		}
		return tx.Clauses(rankOrder(c, q)).Limit(q.Limit + 1)
	}
	if len(q.After) > 0 {
		tx = tx.Where(beyond(q))
	}
	return tx.Clauses(order(q)).Limit(q.Limit + 1)
}

func (c candidates) rank() clause.Expr {
	return clause.Expr{SQL: "ts_rank(?, ?::tsquery)", Vars: []any{terms(), c.words}}
}

// rankOrder is by rank and then by id, turned round for a backward page.
func rankOrder(c candidates, q resource.Query) clause.OrderBy {
	sql := "? DESC, ? DESC"
	if q.Backward {
		sql = "?, ?"
	}
	return clause.OrderBy{Expression: clause.Expr{SQL: sql, Vars: []any{c.rank(), idColumn()}}}
}

// beyondRank selects what follows the position in that order.
func beyondRank(c candidates, q resource.Query) clause.Expr {
	sql := "(?, ?) < (?::real, ?)"
	if q.Backward {
		sql = "(?, ?) > (?::real, ?)"
	}
	return clause.Expr{SQL: sql, Vars: []any{c.rank(), idColumn(), q.After[0], q.After[1]}}
}
