package main

import (
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

// asked is how far back rates look where Grafana would choose.
const asked = "1m"

// askTimeout bounds one question.
const askTimeout = 15 * time.Second

// check asks all questions in PromQL, prints how many lines each panel has with one value of them, and returns an error
// where a question is refused, or where one has no answer that should.
func check(ctx context.Context, address string, out io.Writer) error {
	var wrong []error
	for _, b := range boards() {
		fmt.Fprintf(out, "\n%s\n", b.title)
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, question := range p.queries {
					if question.logs {
						continue
					}
					found, err := ask(ctx, address, question)
					where := b.title + ", " + p.title
					switch {
					case err != nil:
						wrong = append(wrong, fmt.Errorf("%s: %w", where, err))
					case found.series == 0 && !p.mayBeEmpty:
						wrong = append(wrong, fmt.Errorf("%s: nothing came back for %s", where, question.expr))
					}
					fmt.Fprintf(out, "  %-46s %4d  %s\n", p.title, found.series, found.sample)
				}
			}
		}
	}
	return errors.Join(wrong...)
}

// answer is what a question came to: how many series, and one of them.
type answer struct {
	series int
	sample string
}

func ask(ctx context.Context, address string, question query) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	target := strings.TrimSuffix(address, "/") + "/api/v1/query?query=" + url.QueryEscape(strings.ReplaceAll(question.expr, "$__rate_interval", asked))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	var said struct {
		Error string `json:"error"`
		Data  struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		return answer{}, fmt.Errorf("read the answer (%s): %w", response.Status, err)
	}
	if said.Error != "" {
		return answer{}, errors.New(said.Error)
	}
	var a answer
	for _, series := range said.Data.Result {
		text, _ := series.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(value) {
			continue // 0/0: there was nothing to divide
		}
		if a.series++; a.series == 1 {
			a.sample = strconv.FormatFloat(value, 'g', 4, 64) + " " + legend(question.legend, series.Metric)
		}
	}
	return a, nil
}

// legend is what Grafana would write beside a line.
func legend(form string, labels map[string]string) string {
	for name, value := range labels {
		form = strings.ReplaceAll(form, "{{"+name+"}}", value)
	}
	return form
}
