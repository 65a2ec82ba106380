package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// rateInterval is how far back rates look where Grafana would choose.
	rateInterval = "1m"
	// lokiRange is the time of which logs are asked.
	lokiRange = "1h"
	// askTimeout bounds one question.
	askTimeout = 30 * time.Second
)

// answer is what a question came to: how many series, or lines, and one of them.
type answer struct {
	count  int
	sample string
	// skipped says that it was not asked.
	skipped bool
}

// said is what Prometheus and Loki answer with, both in the same form.
type said struct {
	Data struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"`
			// Stream and Values are of lines: Values are pairs of a time and a line.
			Stream map[string]string `json:"stream"`
			Values [][2]string       `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

// line is one of a log, with all that was read from it.
type line struct {
	labels map[string]string
	text   string
}

func askPrometheus(ctx context.Context, address string, question query) (answer, error) {
	expr := strings.ReplaceAll(question.expr, "$__rate_interval", rateInterval)
	found, err := get(ctx, address, "/api/v1/query", url.Values{"query": {expr}})
	if err != nil {
		return answer{}, err
	}
	return found.numbers(question.legend), nil
}

// askNumbers asks Loki for numbers as of now.
func askNumbers(ctx context.Context, address, expr string) (answer, error) {
	found, err := get(ctx, address, "/loki/api/v1/query", url.Values{"query": {expr}})
	return found.numbers(""), err
}

// askLines asks Loki for lines.
func askLines(ctx context.Context, address, expr string) (answer, error) {
	lines, err := linesOf(ctx, address, expr)
	if err != nil || len(lines) == 0 {
		return answer{}, err
	}
	return answer{count: len(lines), sample: lines[0].text[:min(len(lines[0].text), 80)]}, nil
}

// linesOf are the newest hundred lines that answer a question.
func linesOf(ctx context.Context, address, expr string) ([]line, error) {
	found, err := get(ctx, address, "/loki/api/v1/query_range", url.Values{"query": {expr}, "since": {lokiRange}, "limit": {"100"}})
	var lines []line
	for _, stream := range found.Data.Result {
		for _, pair := range stream.Values {
			lines = append(lines, line{labels: stream.Stream, text: pair[1]})
		}
	}
	return lines, err
}

func get(ctx context.Context, address, path string, parameters url.Values) (found said, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+path+"?"+parameters.Encode(), http.NoBody)
	if err != nil {
		return said{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return said{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return said{}, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return said{}, errors.New(strings.TrimSpace(string(body[:min(len(body), 500)])))
	}
	if err := json.Unmarshal(body, &found); err != nil {
		return said{}, fmt.Errorf("read the answer: %w", err)
	}
	return found, nil
}

// numbers are those of the series that have one.
func (s said) numbers(form string) (a answer) {
	for _, series := range s.Data.Result {
		text, _ := series.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(value) {
			continue // 0/0: there was nothing to divide
		}
		if a.count++; a.count == 1 {
			a.sample = strconv.FormatFloat(value, 'g', 4, 64) + " " + legend(form, series.Metric)
		}
	}
	return a
}

// legend is what Grafana would write beside a line, or all labels where it is not told.
func legend(form string, labels map[string]string) string {
	var all []string
	for name, value := range labels {
		form = strings.ReplaceAll(form, "{{"+name+"}}", value)
		all = append(all, name+"="+value)
	}
	return cmp.Or(form, strings.Join(all, " "))
}
