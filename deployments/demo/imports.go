package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// importing is an import as the API takes one.
type importing struct {
	Resource string         `json:"resource"`
	FileID   string         `json:"file_id"`
	Mode     string         `json:"mode"`
	By       string         `json:"by"`
	Atomic   bool           `json:"atomic"`
	Mapping  map[string]any `json:"mapping"`
}

// imported is what came of one.
type imported struct {
	Rows      int `json:"rows"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Errors    []struct {
		Row    int    `json:"row"`
		Column string `json:"column"`
		Reason string `json:"reason"`
	} `json:"errors"`
}

// String tells it in a line.
func (i imported) String() string {
	text := fmt.Sprintf("%d rows: %d added, %d already there", i.Rows, i.Created, i.Unchanged)
	if i.Updated > 0 {
		text += fmt.Sprintf(", %d brought up to date", i.Updated)
	}
	return text
}

// upload sends a file, and returns its id and what takes it away again.
func upload(ctx context.Context, c *client.Client, name, content string) (id string, remove func(), err error) {
	form := new(bytes.Buffer)
	parts := multipart.NewWriter(form)
	part, err := parts.CreateFormFile("file", name)
	if err == nil {
		_, err = io.WriteString(part, content)
	}
	if err = errors.Join(err, parts.Close()); err != nil {
		return "", nil, fmt.Errorf("write a form: %w", err)
	}
	var file struct {
		ID string `json:"id"`
	}
	err = c.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/files", Want: http.StatusCreated, Into: &file,
		Body: form.Bytes(), Header: map[string]string{"Content-Type": parts.FormDataContentType()},
	})
	return file.ID, func() {
		_ = c.Do(context.WithoutCancel(ctx), client.Call{Method: http.MethodDelete, Path: "/files/" + file.ID, Want: http.StatusNoContent})
	}, err
}

// importFile asks for an import and waits for what comes of it. All of its rows must be good.
func importFile(ctx context.Context, c *client.Client, this importing) (done imported, err error) {
	var started struct {
		JobID string `json:"job_id"`
	}
	if err := c.Do(ctx, client.Call{Method: http.MethodPost, Path: "/imports", Body: this, Want: http.StatusAccepted, Into: &started}); err != nil {
		return done, err
	}
	const longest = 2 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		var job struct {
			State  string   `json:"state"`
			Error  string   `json:"error"`
			Result imported `json:"result"`
		}
		if err := c.Do(ctx, client.Call{Method: http.MethodGet, Path: "/jobs/" + started.JobID, Want: http.StatusOK, Into: &job}); err != nil {
			return done, err
		}
		switch done = job.Result; {
		case job.State == "succeeded" && done.Failed > 0:
			first := done.Errors[0]
			return done, fmt.Errorf("%d rows were refused; row %d, %s: %s", done.Failed, first.Row, first.Column, first.Reason)
		case job.State == "succeeded":
			return done, nil
		case job.State == "dead" || job.State == "cancelled":
			return done, fmt.Errorf("the import of %s is %s: %s", this.Resource, job.State, job.Error)
		}
		if err := client.Pause(ctx, 100*time.Millisecond); err != nil {
			return done, fmt.Errorf("the import of %s is still %s; does a worker serve the queue transfers? %w", this.Resource, job.State, err)
		}
	}
}
