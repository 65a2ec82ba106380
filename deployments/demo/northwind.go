package main

import (
	"context"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

var (
	//go:embed northwind/customers.csv
	customersCSV string
	//go:embed northwind/orders.csv
	ordersCSV string
	//go:embed northwind/order-details.csv
	detailsCSV string
)

// northwindCodes are the codes of Northwind's customers.
func northwindCodes() ([]string, error) {
	rows, err := csv.NewReader(strings.NewReader(customersCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read Northwind's customers: %w", err)
	}
	if len(rows) < 2 {
		return nil, errors.New("read Northwind's customers: the file is empty")
	}
	codes := make([]string, 0, len(rows)-1)
	for _, row := range rows[1:] {
		codes = append(codes, row[0])
	}
	return codes, nil
}

// customersMapping says which of Northwind's columns are which fields of a customer. What a customer of ours has no field
// for goes into custom. The country is a tag as well, and so is "owner" for those whose contact owns the business.
func customersMapping() map[string]any {
	return map[string]any{
		"code": "customerID",
		"name": "companyName",
		"tags": []any{
			map[string]any{"column": "country", "case": "lower"},
			map[string]any{"column": "contactTitle", "values": map[string]string{"Owner": "owner", "*": ""}},
		},
		"custom.contact_name":  "contactName",
		"custom.contact_title": "contactTitle",
		"custom.address":       "address",
		"custom.city":          "city",
		"custom.region":        "region",
		"custom.postal_code":   "postalCode",
		"custom.country":       "country",
		"custom.phone":         "phone",
		"custom.fax":           "fax",
	}
}

// ordersMapping is that of orders, whose lines stand in a file of their own: shipped where they have a date of it, else
// placed. Prices become cents, and discounts hundredths of a per cent.
func ordersMapping(details string) map[string]any {
	return map[string]any{
		"number":              "orderID",
		"customer_id":         map[string]any{"column": "customerID", "lookup": "customers.code"},
		"currency":            map[string]any{"value": "USD"},
		"status":              map[string]any{"column": "shippedDate", "values": map[string]string{"": "placed", "*": "shipped"}},
		"placed_at":           "orderDate",
		"shipped_at":          "shippedDate",
		"custom.ship_name":    "shipName",
		"custom.ship_country": "shipCountry",
		"lines": map[string]any{
			"file_id": details, "key": "orderID",
			"fields": map[string]any{
				"sku":              "productID",
				"quantity":         "quantity",
				"unit_price_cents": map[string]any{"column": "unitPrice", "scale": 2},
				"discount_bp":      map[string]any{"column": "discount", "scale": 4},
			},
		},
	}
}

// importCustomers brings the customers in by their codes: those that are there already stay as they are.
func importCustomers(ctx context.Context, c *client.Client) (imported, error) {
	file, remove, err := upload(ctx, c, "customers.csv", customersCSV)
	if err != nil {
		return imported{}, err
	}
	defer remove()
	return importFile(ctx, c, importing{
		Resource: "customers", FileID: file, Mode: "upsert", By: "code", Atomic: true, Mapping: customersMapping(),
	})
}

// importOrders brings the orders in by their numbers, with their lines.
func importOrders(ctx context.Context, c *client.Client) (imported, error) {
	orders, removeOrders, err := upload(ctx, c, "orders.csv", ordersCSV)
	if err != nil {
		return imported{}, err
	}
	defer removeOrders()
	details, removeDetails, err := upload(ctx, c, "order-details.csv", detailsCSV)
	if err != nil {
		return imported{}, err
	}
	defer removeDetails()
	return importFile(ctx, c, importing{
		Resource: "orders", FileID: orders, Mode: "upsert", By: "number", Atomic: true, Mapping: ordersMapping(details),
	})
}
