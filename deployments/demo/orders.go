package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// newLine is a line of an order as the API takes one.
type newLine struct {
	SKU            string `json:"sku"`
	Quantity       int64  `json:"quantity"`
	UnitPriceCents int64  `json:"unit_price_cents"`
	DiscountBP     int64  `json:"discount_bp"`
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

func (t *tour) orders(ctx context.Context) error {
	done, err := importOrders(ctx, t.northwind)
	if err != nil {
		return err
	}
	t.say("   %s, each with its lines from a second file, its dates and its state.", done)

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
	if err := t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: "/orders", Query: query, Want: http.StatusOK, Into: &p}); err != nil {
		return err
	}
	if len(p.Data) == 0 {
		return nil
	}
	err := t.northwind.Do(ctx, client.Call{Method: http.MethodPost, Path: "/orders/" + p.Data[0].ID + "/ship", Want: http.StatusOK})
	if !client.HasCode(err, "order.wrong_state") {
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
