// Command transfers measures imports and exports of a running stack: customers come in from a CSV file, and go out as CSV
// and XLSX. Their time is from the asking to the end of the job; the worker's memory is that of its ops port.
//
// The customers stay: their codes are new in each run.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
	"github.com/groundwork-saas/groundwork/deployments/internal/running"
)

// bench is what is measured, and where.
type bench struct {
	*client.Client

	rows int
	only string
	ops  string
}

func main() {
	var b bench
	flag.IntVar(&b.rows, "rows", 100_000, "customers in the file")
	flag.StringVar(&b.only, "only", "", "import or export, and not the other")
	flag.StringVar(&b.ops, "worker-ops", "http://127.0.0.1:9091", "the worker's ops port")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "transfers: measures imports and exports of the stack that LOCAL_DIR/stack.json names (.local; see make run)\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := b.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench-transfers:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.Client, err = running.Find(); err != nil {
		return err
	}
	if b.only != "" && b.only != "import" && b.only != "export" {
		return fmt.Errorf("-only is import or export, not %q", b.only)
	}
	fmt.Fprintln(os.Stdout, "| What | Rows | Took | Rows/s | Worker's memory before / at most |\n|---|---:|---:|---:|---:|")
	if b.only != "export" {
		file, err := b.upload(ctx)
		if err != nil {
			return err
		}
		if err := b.measure(ctx, "import of CSV", "/imports", map[string]any{"resource": "customers", "file_id": file, "mode": "create"}); err != nil {
			return err
		}
	}
	if b.only == "import" {
		return nil
	}
	for _, format := range []string{"csv", "xlsx", "jsonl"} {
		if err := b.measure(ctx, "export to "+format, "/exports", map[string]any{"resource": "customers", "format": format}); err != nil {
			return err
		}
	}
	return nil
}

// upload sends a file of customers as it is made.
func (b *bench) upload(ctx context.Context) (id string, err error) {
	read, write := io.Pipe()
	form := multipart.NewWriter(write)
	go func() {
		part, err := form.CreateFormFile("file", "customers.csv")
		if err == nil {
			out := bufio.NewWriter(part)
			_, _ = out.WriteString("code,name,email,tags\n")
			run := strconv.FormatInt(time.Now().Unix(), 36) // short: a file of 1,000,000 rows stays below 100 MiB
			for n := range b.rows {
				_, _ = fmt.Fprintf(out, "B%s-%d,Customer %d of the bench,customer%d@bench%s.example.com,bench\n", run, n, n, n, run)
			}
			err = errors.Join(out.Flush(), form.Close())
		}
		_ = write.CloseWithError(err)
	}()
	var made struct{ ID string }
	err = b.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/files", Header: map[string]string{"Content-Type": form.FormDataContentType()}, Body: read, Into: &made,
	})
	return made.ID, err
}

// job is one of the API's.
type job struct {
	State  string `json:"state"`
	Error  any    `json:"error"`
	Result struct {
		Rows   int `json:"rows"`
		Failed int `json:"failed"`
	} `json:"result"`
}

// measure asks for a job and waits for its end.
func (b *bench) measure(ctx context.Context, what, path string, body any) error {
	before, err := b.memory(ctx)
	if err != nil {
		return err
	}
	began, most := time.Now(), before
	var asked struct {
		JobID string `json:"job_id"`
	}
	if err := b.Do(ctx, client.Call{Method: http.MethodPost, Path: path, Body: body, Into: &asked}); err != nil {
		return err
	}
	var j job
	for j.State != "succeeded" {
		if j.State == "dead" || j.State == "cancelled" {
			return fmt.Errorf("%s: the job is %s: %v", what, j.State, j.Error)
		}
		time.Sleep(200 * time.Millisecond)
		now, err := b.memory(ctx)
		if err != nil {
			return err
		}
		most = max(most, now)
		if err := b.Do(ctx, client.Call{Method: http.MethodGet, Path: "/jobs/" + asked.JobID, Into: &j}); err != nil {
			return err
		}
	}
	took := time.Since(began)
	if j.Result.Failed > 0 {
		return fmt.Errorf("%s: %d rows failed", what, j.Result.Failed)
	}
	fmt.Fprintf(os.Stdout, "| %s | %d | %.1f s | %.0f | %.0f / %.0f MiB |\n", what, j.Result.Rows, took.Seconds(),
		float64(j.Result.Rows)/took.Seconds(), before/(1<<20), most/(1<<20))
	return nil
}

// memory is the worker's, in bytes.
func (b *bench) memory(ctx context.Context) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.ops+"/metrics", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("ask the worker: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask the worker: %w", err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, found := bytes.CutPrefix(lines.Bytes(), []byte("process_resident_memory_bytes ")); found {
			return strconv.ParseFloat(string(value), 64)
		}
	}
	return 0, errors.New("the worker does not say how much memory it takes")
}
