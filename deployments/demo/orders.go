package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/csv"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed northwind/orders.csv
var ordersCSV string

//go:embed northwind/order-details.csv
var detailsCSV string

// newOrder is an order as a bulk takes one that comes with its history.
type newOrder struct {
	CustomerID string            `json:"customer_id"`
	Number     string            `json:"number"`
	Currency   string            `json:"currency"`
	Status     string            `json:"status"`
	PlacedAt   time.Time         `json:"placed_at"`
	ShippedAt  *time.Time        `json:"shipped_at,omitempty"`
	Lines      []newLine         `json:"lines"`
	Custom     map[string]string `json:"custom"`

	customerCode string
}

type newLine struct {
	SKU            string `json:"sku"`
	Quantity       int64  `json:"quantity"`
	UnitPriceCents int64  `json:"unit_price_cents"`
	DiscountBP     int64  `json:"discount_bp"`
}

// northwindOrders reads Northwind's orders with their lines: shipped where they have a date of it, else placed.
func northwindOrders() ([]newOrder, error) {
	lines := map[string][]newLine{}
	err := eachRow(detailsCSV, func(row map[string]string) error {
		price, err := scaled(row["unitPrice"], 2)
		if err != nil {
			return err
		}
		discount, err := scaled(row["discount"], 4)
		if err != nil {
			return err
		}
		quantity, err := strconv.ParseInt(row["quantity"], 10, 64)
		lines[row["orderID"]] = append(lines[row["orderID"]],
			newLine{SKU: row["productID"], Quantity: quantity, UnitPriceCents: price, DiscountBP: discount})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read Northwind's order details: %w", err)
	}
	var orders []newOrder
	err = eachRow(ordersCSV, func(row map[string]string) error {
		o := newOrder{
			Number: row["orderID"], Currency: "USD", Status: "placed", Lines: lines[row["orderID"]],
			Custom: map[string]string{"ship_name": row["shipName"], "ship_country": row["shipCountry"]}, customerCode: row["customerID"],
		}
		var err error
		if o.PlacedAt, err = time.Parse(time.DateTime, row["orderDate"]); err != nil {
			return err
		}
		if row["shippedDate"] != "" {
			shipped, err := time.Parse(time.DateTime, row["shippedDate"])
			if err != nil {
				return err
			}
			o.Status, o.ShippedAt = "shipped", &shipped
		}
		orders = append(orders, o)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read Northwind's orders: %w", err)
	}
	return orders, nil
}

func eachRow(text string, visit func(map[string]string) error) error {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	for i, row := range rows[1:] {
		values := make(map[string]string, len(row))
		for n, column := range rows[0] {
			values[column] = row[n]
		}
		if err := visit(values); err != nil {
			return fmt.Errorf("row %d: %w", i+2, err)
		}
	}
	return nil
}

// scaled reads a decimal as a whole number of its places: 14.5 of two places is 1450.
func scaled(decimal string, places int) (int64, error) {
	whole, fraction, _ := strings.Cut(decimal, ".")
	if len(fraction) > places {
		return 0, fmt.Errorf("%s has more than %d places", decimal, places)
	}
	return strconv.ParseInt(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 64)
}

// order is an order as the API answers one.
type order struct {
	ID         string    `json:"id"`
	CustomerID string    `json:"customer_id"`
	Number     string    `json:"number"`
	PlacedAt   time.Time `json:"placed_at"`
	TotalCents int64     `json:"total_cents"`
	Status     string    `json:"status"`
}

// bulkOf is how many orders go in one request.
const bulkOf = 500

// seedOrders puts the orders in by their numbers: those that are there already stay as they are.
func seedOrders(ctx context.Context, c *client, customers []customer, orders []newOrder) (seeded, error) {
	var done seeded
	ids := map[string]string{}
	for _, known := range customers {
		ids[known.Code] = known.ID
	}
	for i := range orders {
		orders[i].CustomerID = ids[orders[i].customerCode]
	}
	for some := range slices.Chunk(orders, bulkOf) {
		var answer struct {
			Results []struct {
				Status int `json:"status"`
			} `json:"results"`
		}
		_, err := c.do(ctx, call{
			method: http.MethodPost, path: "/orders/bulk", want: http.StatusOK, into: &answer,
			body: map[string]any{"mode": "upsert", "by": "number", "atomic": true, "items": some},
		})
		if err != nil {
			return done, err
		}
		for _, result := range answer.Results {
			if result.Status == http.StatusCreated {
				done.added++
			} else {
				done.there++
			}
		}
	}
	return done, nil
}

func (t *tour) orders(ctx context.Context) error {
	orders, err := northwindOrders()
	if err != nil {
		return err
	}
	done, err := seedOrders(ctx, t.northwind, t.all, orders)
	if err != nil {
		return err
	}
	t.say("   %s, each with its lines, dates and state, in requests of %d.", done, bulkOf)

	byYear, byCustomer, sum, count := map[string]int64{}, map[string]int64{}, int64(0), 0
	query := url.Values{"limit": {"100"}, "sort": {"placed_at"}, "placed_at[null]": {"false"}, "fields": {"customer_id,placed_at,total_cents"}}
	err = eachPage(ctx, t.northwind, "/orders", query, func(p page[order]) {
		for _, o := range p.Data {
			byYear[o.PlacedAt.Format("2006")] += o.TotalCents
			byCustomer[o.CustomerID] += o.TotalCents
			sum += o.TotalCents
			count++
		}
	})
	if err != nil {
		return err
	}
	for _, year := range slices.Sorted(maps.Keys(byYear)) {
		t.say("   %s: %14s", year, money(byYear[year]))
	}
	t.say("   in all %12s from %d orders", money(sum), count)

	codes := map[string]string{}
	for _, known := range t.all {
		codes[known.ID] = known.Code
	}
	best := slices.SortedFunc(maps.Keys(byCustomer), func(a, b string) int { return cmp.Compare(byCustomer[b], byCustomer[a]) })
	for i, id := range best[:min(3, len(best))] {
		best[i] = codes[id]
	}
	t.say("   The three best customers: %s.", strings.Join(best[:min(3, len(best))], ", "))
	return t.wrongStep(ctx)
}

// wrongStep shows that an order keeps to its way.
func (t *tour) wrongStep(ctx context.Context) error {
	var p page[order]
	query := url.Values{"status": {"placed"}, "limit": {"1"}, "expand": {"customer"}}
	if _, err := t.northwind.do(ctx, call{method: http.MethodGet, path: "/orders", query: query, want: http.StatusOK, into: &p}); err != nil {
		return err
	}
	if len(p.Data) == 0 {
		return nil
	}
	_, err := t.northwind.do(ctx, call{method: http.MethodPost, path: "/orders/" + p.Data[0].ID + "/ship", want: http.StatusOK})
	if !hasCode(err, "order.wrong_state") {
		return fmt.Errorf("shipping order %s, which is not paid, was not refused: %w", p.Data[0].Number, err)
	}
	t.say("   Shipping order %s, which is placed and not paid, is refused with 409.", p.Data[0].Number)
	return nil
}

// money writes cents with two places and commas.
func money(cents int64) string {
	whole := strconv.FormatInt(cents/100, 10)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return fmt.Sprintf("%s.%02d", whole, cents%100)
}
