package main

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

//go:embed northwind/customers.csv
var northwindCSV string

// newCustomer is a customer as the API takes one.
type newCustomer struct {
	Code   string            `json:"code"`
	Name   string            `json:"name"`
	Tags   []string          `json:"tags"`
	Custom map[string]string `json:"custom"`
}

// northwind reads Northwind's customers. What a customer of ours has no field for goes into custom; empty values are
// left out. The country is a tag as well, and so is "owner" for those whose contact owns the business.
func northwind() ([]newCustomer, error) {
	rows, err := csv.NewReader(strings.NewReader(northwindCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read Northwind's customers: %w", err)
	}
	if len(rows) < 2 {
		return nil, errors.New("read Northwind's customers: the file is empty")
	}
	customers := make([]newCustomer, 0, len(rows)-1)
	for _, row := range rows[1:] {
		value := make(map[string]string, len(row))
		for i, column := range rows[0] {
			value[column] = row[i]
		}
		c := newCustomer{
			Code: value["customerID"], Name: value["companyName"],
			Tags:   []string{strings.ToLower(value["country"])},
			Custom: map[string]string{},
		}
		if value["contactTitle"] == "Owner" {
			c.Tags = append(c.Tags, "owner")
		}
		for column, key := range map[string]string{
			"contactName": "contact_name", "contactTitle": "contact_title", "address": "address", "city": "city",
			"region": "region", "postalCode": "postal_code", "country": "country", "phone": "phone", "fax": "fax",
		} {
			if value[column] != "" {
				c.Custom[key] = value[column]
			}
		}
		customers = append(customers, c)
	}
	return customers, nil
}
