package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// board is a dashboard.
type board struct {
	// uid is its file's name and its address in Grafana.
	uid, title, about string
	rows              []row
	// asks are text fields above the panels.
	asks []field
}

// field is a text field above the panels, whose text stands in queries for $name.
type field struct {
	name string
	// example is a question in LogQL: each line that answers it has, under the same name, a text that could be typed.
	example string
}

// row is a heading with panels below it.
type row struct {
	title  string
	panels []panel
}

// Widths of panels; a line has 24.
const (
	whole   = 24
	half    = 12
	third   = 8
	quarter = 6
)

// panel is one picture.
type panel struct {
	title string
	// about says what to read in it.
	about string
	kind  string // "" is a graph over time; stat, table, logs
	unit  string // Grafana's: reqps, s, percentunit, bytes, short
	width int
	// stacked has the lines add up.
	stacked bool
	// mayBeEmpty says that there may be nothing to see, as where nothing goes wrong.
	mayBeEmpty bool
	queries    []query
}

// query is a question in PromQL, or in LogQL where logs is set.
type query struct {
	expr, legend string
	logs         bool
	// unit is its own, where it differs from the panel's.
	unit string
}

func q(expr, legend string) query { return query{expr: expr, legend: legend} }

// in gives a question a unit of its own.
func (q query) in(unit string) query {
	q.unit = unit
	return q
}

func logQL(expr string) query { return query{expr: expr, logs: true} }

// document is a board as Grafana reads it from a file.
func (b board) document() ([]byte, error) {
	panels, id, y := []any{}, 0, 0
	for _, r := range b.rows {
		id++
		panels = append(panels, map[string]any{
			"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": map[string]int{"x": 0, "y": y, "w": whole, "h": 1},
		})
		y++
		x, tallest := 0, 0
		for _, p := range r.panels {
			if x+p.width > whole {
				x, y, tallest = 0, y+tallest, 0
			}
			id++
			panels = append(panels, p.document(id, x, y))
			x, tallest = x+p.width, max(tallest, p.height())
		}
		y += tallest
	}
	asks := []any{}
	for _, f := range b.asks {
		asks = append(asks, map[string]any{"name": f.name, "label": strings.ReplaceAll(f.name, "_", " "), "type": "textbox", "query": ""})
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(map[string]any{
		"uid": b.uid, "title": "Groundwork: " + b.title, "description": b.about, "tags": []string{"groundwork"}, "schemaVersion": 41,
		"editable": false, "graphTooltip": 1, "refresh": "30s", "time": map[string]string{"from": "now-1h", "to": "now"},
		"timezone": "browser", "templating": map[string]any{"list": asks}, "panels": panels,
		"links": []any{map[string]any{"type": "dashboards", "title": "Groundwork", "tags": []string{"groundwork"}, "asDropdown": true}},
	})
	return out.Bytes(), err
}

func (p panel) height() int {
	switch p.kind {
	case "stat":
		return 4
	case "logs":
		return 14
	default:
		return 8
	}
}

func (p panel) document(id, x, y int) map[string]any {
	source := map[string]string{"type": "prometheus", "uid": "prometheus"}
	targets, overrides := []any{}, []any{}
	for i, question := range p.queries {
		if question.logs {
			source = map[string]string{"type": "loki", "uid": "loki"}
		}
		target := map[string]any{
			"refId": string(rune('A' + i)), "datasource": source, "expr": question.expr, "legendFormat": question.legend,
		}
		switch {
		case question.logs && p.kind == "table":
			target["queryType"] = "instant"
		case question.logs:
			target["queryType"] = "range"
		case p.kind == "table":
			target["instant"], target["format"], target["range"] = true, "table", false
		}
		targets = append(targets, target)
		if question.unit != "" {
			overrides = append(overrides, map[string]any{
				"matcher":    map[string]string{"id": "byFrameRefID", "options": string(rune('A' + i))},
				"properties": []any{map[string]string{"id": "unit", "value": question.unit}},
			})
		}
	}
	kind := p.kind
	if kind == "" {
		kind = "timeseries"
	}
	custom := map[string]any{}
	if kind == "timeseries" {
		custom = map[string]any{"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
		if p.stacked {
			custom["stacking"], custom["fillOpacity"] = map[string]string{"mode": "normal"}, 30
		}
	}
	return map[string]any{
		"id": id, "type": kind, "title": p.title, "description": p.about, "datasource": source, "targets": targets,
		"gridPos":     map[string]int{"x": x, "y": y, "w": p.width, "h": p.height()},
		"fieldConfig": map[string]any{"defaults": map[string]any{"unit": p.unit, "custom": custom}, "overrides": overrides},
		"options":     p.options(kind),
	}
}

func (p panel) options(kind string) map[string]any {
	switch kind {
	case "timeseries":
		return map[string]any{
			"legend":  map[string]any{"displayMode": "list", "placement": "bottom"},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		}
	case "stat":
		return map[string]any{"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}}, "graphMode": "area"}
	case "logs":
		return map[string]any{"showTime": true, "wrapLogMessage": true, "enableLogDetails": true, "sortOrder": "Ascending"}
	default:
		return map[string]any{}
	}
}

// boards are all dashboards.
func boards() []board { return []board{apiBoard(), queuesBoard(), tenantsBoard(), storesBoard()} }

// quantile is a quantile of a histogram's observations of late, by labels.
func quantile(share float64, histogram, matching, by string) string {
	labels := "le"
	if by != "" {
		labels += ", " + by
	}
	return fmt.Sprintf("histogram_quantile(%g, sum by (%s) (rate(%s_bucket%s[$__rate_interval])))", share, labels, histogram, matching)
}
