package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The rival is what somebody writes by hand for speed: net/http, a pgx pool whose statements stay prepared, and the
// standard library's JSON. It answers the same JSON as the API from the same tables, as the administrator, for one
// tenant that it is told; it has no credentials, limits, row level security, audit, events, validation, or log.

// rivalArgument makes this program the rival.
const rivalArgument = "rival"

// columns are the same for every contestant.
const columns = `id, version, created_at, updated_at, deleted_at, customer_id, number, currency, status,
  placed_at, paid_at, shipped_at, cancelled_at, note, total_cents, lines, tags, custom`

const (
	oneSQL    = `SELECT ` + columns + ` FROM orders WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL`
	firstSQL  = `SELECT ` + columns + ` FROM orders WHERE tenant_id = $1 AND status = $2 AND deleted_at IS NULL ORDER BY id DESC LIMIT $3`
	nextSQL   = `SELECT ` + columns + ` FROM orders WHERE tenant_id = $1 AND status = $2 AND id < $4 AND deleted_at IS NULL ORDER BY id DESC LIMIT $3`
	createSQL = `INSERT INTO orders (tenant_id, ` + columns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`
	numberSQL = `INSERT INTO sequences AS s (tenant_id, name, value) VALUES ($1, 'orders.number', 1)
ON CONFLICT (tenant_id, name) DO UPDATE SET value = s.value + 1 RETURNING value::text`
)

type uuid [16]byte

// MarshalText writes the usual 36 characters.
func (u uuid) MarshalText() ([]byte, error) { //nolint:unparam // encoding.TextMarshaler
	out := make([]byte, 0, 36)
	for i, b := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		const digits = "0123456789abcdef"
		out = append(out, digits[b>>4], digits[b&15])
	}
	return out, nil
}

type order struct {
	ID          uuid            `json:"id"`
	Version     int64           `json:"version"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	DeletedAt   *time.Time      `json:"deleted_at"`
	CustomerID  uuid            `json:"customer_id"`
	Number      string          `json:"number"`
	Currency    string          `json:"currency"`
	Status      string          `json:"status"`
	PlacedAt    *time.Time      `json:"placed_at"`
	PaidAt      *time.Time      `json:"paid_at"`
	ShippedAt   *time.Time      `json:"shipped_at"`
	CancelledAt *time.Time      `json:"cancelled_at"`
	Note        string          `json:"note"`
	TotalCents  int64           `json:"total_cents"`
	Lines       json.RawMessage `json:"lines"`
	Tags        []string        `json:"tags"`
	Custom      json.RawMessage `json:"custom"`
}

func (o *order) scan(row pgx.Row) error {
	return row.Scan((*[16]byte)(&o.ID), &o.Version, &o.CreatedAt, &o.UpdatedAt, &o.DeletedAt, (*[16]byte)(&o.CustomerID), &o.Number,
		&o.Currency, &o.Status, &o.PlacedAt, &o.PaidAt, &o.ShippedAt, &o.CancelledAt, &o.Note, &o.TotalCents,
		(*[]byte)(&o.Lines), &o.Tags, (*[]byte)(&o.Custom))
}

type orderPage struct {
	Data       []order `json:"data"`
	NextCursor *string `json:"next_cursor"`
	PrevCursor *string `json:"prev_cursor"`
}

type orderInput struct {
	CustomerID string      `json:"customer_id"`
	Number     string      `json:"number"`
	Currency   string      `json:"currency"`
	Lines      []orderLine `json:"lines"`
}

type orderLine struct {
	SKU            string `json:"sku"`
	Description    string `json:"description"`
	Quantity       int64  `json:"quantity"`
	UnitPriceCents int64  `json:"unit_price_cents"`
	DiscountBP     int64  `json:"discount_bp"`
	TotalCents     int64  `json:"total_cents"`
}

type rival struct {
	pool   *pgxpool.Pool
	tenant string
}

func runRival() error {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("RIVAL_DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("read the URL: %w", err)
	}
	config.MaxConns = 20 // as many as the API has
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer pool.Close()
	r := &rival{pool: pool, tenant: os.Getenv("RIVAL_TENANT")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, q *http.Request) {
		if err := pool.Ping(q.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /api/v1/orders/{id}", r.find)
	mux.HandleFunc("GET /api/v1/orders", r.list)
	mux.HandleFunc("POST /api/v1/orders", r.create)
	server := &http.Server{Addr: os.Getenv("RIVAL_ADDR"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe() //nolint:wrapcheck // it names the address
}

func (r *rival) find(w http.ResponseWriter, q *http.Request) {
	var o order
	err := o.scan(r.pool.QueryRow(q.Context(), oneSQL, r.tenant, q.PathValue("id")))
	if errors.Is(err, pgx.ErrNoRows) {
		http.NotFound(w, q)
		return
	}
	answer(w, http.StatusOK, &o, err)
}

func (r *rival) list(w http.ResponseWriter, q *http.Request) {
	const limit = 25
	params := q.URL.Query()
	sql, args := firstSQL, []any{r.tenant, params.Get("status"), limit + 1}
	if cursor := params.Get("cursor"); cursor != "" {
		sql, args = nextSQL, append(args, cursor)
	}
	rows, err := r.pool.Query(q.Context(), sql, args...)
	if err != nil {
		answer(w, 0, nil, err)
		return
	}
	defer rows.Close()
	page := orderPage{Data: make([]order, 0, limit+1)}
	for rows.Next() {
		page.Data = append(page.Data, order{})
		if err := page.Data[len(page.Data)-1].scan(rows); err != nil {
			answer(w, 0, nil, err)
			return
		}
	}
	if len(page.Data) > limit {
		page.Data = page.Data[:limit]
		last, _ := page.Data[limit-1].ID.MarshalText() // it never fails
		next := string(last)
		page.NextCursor = &next
	}
	answer(w, http.StatusOK, &page, rows.Err())
}

func (r *rival) create(w http.ResponseWriter, q *http.Request) {
	var in orderInput
	if err := json.NewDecoder(http.MaxBytesReader(w, q.Body, 1<<20)).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	o := order{
		ID: newID(now), Version: 1, CreatedAt: now, UpdatedAt: now, Number: in.Number, Currency: in.Currency, Status: "draft",
		Tags: []string{}, Custom: json.RawMessage("{}"),
	}
	for i := range in.Lines {
		line := &in.Lines[i]
		line.TotalCents = (line.Quantity*line.UnitPriceCents*(10000-line.DiscountBP) + 5000) / 10000
		o.TotalCents += line.TotalCents
	}
	var err error
	if o.Lines, err = json.Marshal(in.Lines); err != nil {
		answer(w, 0, nil, err)
		return
	}
	var customer uuid
	if err := parseID(&customer, in.CustomerID); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.CustomerID = customer
	if o.Number == "" {
		err = r.insertInTurn(q.Context(), &o)
	} else {
		_, err = r.pool.Exec(q.Context(), createSQL, o.arguments(r.tenant)...)
	}
	answer(w, http.StatusCreated, &o, err)
}

// insertInTurn gives the order the tenant's next number.
func (r *rival) insertInTurn(ctx context.Context, o *order) error {
	tx, err := r.pool.Begin(ctx)
	if err != nil {
		return err //nolint:wrapcheck // shown as it is
	}
	defer tx.Rollback(ctx) //nolint:errcheck // it was committed, or its error is shown
	if err := tx.QueryRow(ctx, numberSQL, r.tenant).Scan(&o.Number); err != nil {
		return err //nolint:wrapcheck // shown as it is
	}
	if _, err := tx.Exec(ctx, createSQL, o.arguments(r.tenant)...); err != nil {
		return err //nolint:wrapcheck // shown as it is
	}
	return tx.Commit(ctx) //nolint:wrapcheck // shown as it is
}

func (o *order) arguments(tenant string) []any {
	return []any{
		tenant, [16]byte(o.ID), o.Version, o.CreatedAt, o.UpdatedAt, o.DeletedAt, [16]byte(o.CustomerID), o.Number, o.Currency, o.Status,
		o.PlacedAt, o.PaidAt, o.ShippedAt, o.CancelledAt, o.Note, o.TotalCents, []byte(o.Lines), o.Tags, []byte(o.Custom),
	}
}

func answer(w http.ResponseWriter, status int, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// newID is a UUIDv7.
func newID(now time.Time) uuid {
	var id uuid
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16) //nolint:gosec // after 1970
	_, _ = rand.Read(id[6:])                                       // it never fails
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

var errID = errors.New("not a UUID")

func parseID(id *uuid, text string) error {
	n := 0
	for i := 0; i < len(text) && n < 32; i++ {
		c := text[i]
		switch {
		case c == '-':
			continue
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return errID
		}
		id[n/2] = id[n/2]<<4 | c
		n++
	}
	if n != 32 {
		return errID
	}
	return nil
}
