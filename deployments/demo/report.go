package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// busyDay is the last day of Northwind's orders.
const busyDay = "1998-05-06"

// dailySales are the figures of a report that the tour shows.
type dailySales struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Data    struct {
		Orders     struct{ Value int64 } `json:"orders"`
		OpenOrders int64                 `json:"open_orders"`
		Currencies []struct {
			Currency     string                `json:"currency"`
			RevenueCents struct{ Value int64 } `json:"revenue_cents"`
			Best         []struct {
				Name         string `json:"name"`
				RevenueCents int64  `json:"revenue_cents"`
			} `json:"best_customers"`
		} `json:"currencies"`
	} `json:"data"`
}

// report has the report of a day of Northwind's made and mailed now, compares it with the orders, and keeps its PDF.
func (t *tour) report(ctx context.Context) error {
	var me struct {
		ID string `json:"id"`
	}
	if err := t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: "/me", Want: http.StatusOK, Into: &me}); err != nil {
		return err
	}
	var schedules page[struct {
		ID string `json:"id"`
	}]
	if err := t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: "/report-schedules", Want: http.StatusOK, Into: &schedules}); err != nil {
		return err
	}
	if len(schedules.Data) == 0 {
		return fmt.Errorf("there is no report schedule, and every organization begins with one")
	}
	path := "/report-schedules/" + schedules.Data[0].ID
	subscribe := func(ctx context.Context, who []string) error {
		err := t.northwind.Do(ctx, client.Call{
			Method: http.MethodPatch, Path: path, Want: http.StatusOK, Body: map[string]any{"subscribers": who, "formats": []string{"pdf"}},
			Header: map[string]string{"Content-Type": "application/merge-patch+json"},
		})
		return err
	}
	if err := subscribe(ctx, []string{me.ID}); err != nil {
		return err
	}
	defer func() { _ = subscribe(context.WithoutCancel(ctx), []string{}) }()
	began := time.Now()
	made, err := t.runReport(ctx, path+"/send")
	if err != nil {
		return err
	}
	if err := t.compareReport(ctx, made); err != nil {
		return err
	}
	if err := t.keepPDF(ctx, made); err != nil {
		return err
	}
	return t.awaitReportMail(ctx, began)
}

// runReport has the report made by its job, and reads it.
func (t *tour) runReport(ctx context.Context, path string) (made dailySales, err error) {
	var ordered struct {
		JobID string `json:"job_id"`
	}
	err = t.northwind.Do(ctx, client.Call{
		Method: http.MethodPost, Path: path, Want: http.StatusAccepted, Into: &ordered, Body: map[string]string{"day": busyDay},
	})
	if err != nil {
		return made, err
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		var job struct {
			State  string `json:"state"`
			Error  string `json:"error"`
			Result struct {
				ReportID string `json:"report_id"`
			} `json:"result"`
		}
		if err := t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: "/jobs/" + ordered.JobID, Want: http.StatusOK, Into: &job}); err != nil {
			return made, fmt.Errorf("wait for the report: %w", err)
		}
		switch job.State {
		case "succeeded":
			err = t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: "/reports/" + job.Result.ReportID, Want: http.StatusOK, Into: &made})
			return made, err
		case "dead", "cancelled":
			return made, fmt.Errorf("the report's job is %s: %s", job.State, job.Error)
		}
		if err := client.Pause(ctx, 100*time.Millisecond); err != nil {
			return made, fmt.Errorf("the report's job is still %s; does a worker serve the queue reports? %w", job.State, err)
		}
	}
}

// compareReport adds the day's orders up by hand.
func (t *tour) compareReport(ctx context.Context, made dailySales) error {
	var orders, total int64
	query := url.Values{"placed_at[gte]": {busyDay + "T00:00:00Z"}, "placed_at[lte]": {busyDay + "T23:59:59Z"}, "status": {"placed,paid,shipped"}, "limit": {"100"}}
	err := eachPage(ctx, t.northwind, "/orders", query, func(p page[order]) {
		for _, o := range p.Data {
			orders, total = orders+1, total+o.TotalCents
		}
	})
	if err != nil {
		return err
	}
	if made.Data.Orders.Value != orders || len(made.Data.Currencies) == 0 || made.Data.Currencies[0].RevenueCents.Value != total {
		return fmt.Errorf("the report of %s has %d orders in %v, and there are %d for %d cents", busyDay, made.Data.Orders.Value, made.Data.Currencies, orders, total)
	}
	c := made.Data.Currencies[0]
	t.say("   The report of %s, version %d: %d orders for %s %s, as the orders themselves add up; %d orders were open that evening.",
		busyDay, made.Version, orders, c.Currency, cents(total), made.Data.OpenOrders)
	if len(c.Best) > 0 {
		t.say("   The best customer of the 30 days up to it: %s, for %s %s.", c.Best[0].Name, c.Currency, cents(c.Best[0].RevenueCents))
	}
	return nil
}

// cents are written with a point.
func cents(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// keepPDF downloads the report's PDF.
func (t *tour) keepPDF(ctx context.Context, made dailySales) error {
	answer, err := t.northwind.Ask(ctx, client.Call{
		Method: http.MethodGet, Path: "/reports/" + made.ID + "/content", Query: url.Values{"format": {"pdf"}}, Want: http.StatusOK,
	})
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer.Body, []byte("%PDF-")) {
		return fmt.Errorf("the report's PDF is none; it begins with %.20q", answer.Body)
	}
	file := filepath.Join(t.dir, "daily-sales-"+busyDay+".pdf")
	if err := os.WriteFile(file, answer.Body, 0o600); err != nil {
		return fmt.Errorf("keep the PDF: %w", err)
	}
	t.say("   As PDF: %s (%d bytes); ?format=html, xlsx and csv are there, too.", file, len(answer.Body))
	return nil
}

// awaitReportMail waits until the mail is on the page of mails, where this stack catches them.
func (t *tour) awaitReportMail(ctx context.Context, began time.Time) error {
	if t.mail == "" {
		t.say("   It is mailed to its subscriber by your mail server.")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.mail+"/messages?to=tour@northwind.example", http.NoBody)
		if err != nil {
			return fmt.Errorf("look for the mail: %w", err)
		}
		response, err := t.api.HTTP.Do(request)
		if err != nil {
			return fmt.Errorf("look for the mail: %w", err)
		}
		var mails []struct {
			At      time.Time `json:"at"`
			Subject string    `json:"subject"`
		}
		data, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err == nil {
			err = json.Unmarshal(data, &mails)
		}
		if err != nil {
			return fmt.Errorf("look for the mail: %w", err)
		}
		for _, m := range mails {
			if strings.HasPrefix(m.Subject, "Daily sales") && !m.At.Before(began) {
				t.say("   Its subscriber has it by e-mail, numbers and charts in its body: %q at %s.", m.Subject, t.mail)
				return nil
			}
		}
		if err := client.Pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("the report was not mailed: %w", err)
		}
	}
}
