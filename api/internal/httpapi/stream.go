package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// What a transfer must do to go on.
const (
	// leastMoved is how many bytes must move within the idle time: who sends a byte now and then does not hold on for ever.
	leastMoved = 64 << 10
	// stalledFactor is how many idle times the whole may stand still, the storage's part in it.
	stalledFactor = 5
	// answerPatience bounds the writing of an answer to a request whose body took its time.
	answerPatience = 30 * time.Second
	// lingerBytes and lingerPatience bound what is read of a refused body, so that its sender gets to see the refusal
	// instead of a broken connection.
	lingerBytes, lingerPatience = 64 << 20, 5 * time.Second
)

// transfer is the time that a streaming request has. The server's time-outs are for the whole of a request; here each
// read and write has its own, so that a transfer takes as long as it takes while bytes move.
type transfer struct {
	control *http.ResponseController
	idle    time.Duration
	now     func() time.Time
	stalled *time.Timer

	moved  int64
	waited time.Duration
}

// startTransfer returns the context of a streaming request, which ends where nothing moves any more.
func (a *API) startTransfer(g *gin.Context) (context.Context, *transfer, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(g.Request.Context())
	t := &transfer{control: http.NewResponseController(g.Writer), idle: a.config.TransferTimeout, now: a.deps.Now}
	t.stalled = time.AfterFunc(stalledFactor*t.idle, func() { cancel(context.DeadlineExceeded) })
	// What is set here replaces the server's; where the writer cannot do it, the server's stands.
	_ = t.control.SetReadDeadline(time.Time{})
	_ = t.control.SetWriteDeadline(time.Time{})
	return ctx, t, func() {
		t.stalled.Stop()
		cancel(nil)
	}
}

// step does one read or write within what is left of the idle time.
func (t *transfer) step(limit func(time.Time) error, do func() (int, error)) (int, error) {
	began := t.now()
	_ = limit(began.Add(t.idle - t.waited))
	n, err := do()
	t.waited += t.now().Sub(began)
	if t.moved += int64(n); t.moved >= leastMoved {
		t.moved, t.waited = 0, 0
	}
	t.stalled.Reset(stalledFactor * t.idle)
	return n, err
}

// limitedBody is a body that is read as it comes. Its errors are faults, but for the end.
type limitedBody struct {
	*transfer

	body io.Reader
	most int64
}

// Read reads what has come.
func (b limitedBody) Read(p []byte) (int, error) {
	n, err := b.step(b.control.SetReadDeadline, func() (int, error) { return b.body.Read(p) })
	if err == nil {
		return n, nil
	}
	_ = b.control.SetReadDeadline(time.Time{}) // the server listens on, for the client to leave
	var over *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF):
		return n, io.EOF
	case errors.As(err, &over):
		return n, tooLarge(b.most)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fault.New(fault.Malformed, "body_unreadable", "The body came too slowly and was given up.").Because(err)
	default:
		return n, unreadableBody(err)
	}
}

func unreadableBody(err error) error {
	return fault.New(fault.Malformed, "body_unreadable", "The body ended before all of it was sent.").Because(err)
}

// stream is the body of a route that streams: at most so many bytes of it.
func (c *Call) stream(most int64) (io.Reader, error) {
	if c.gin.Request.ContentLength > most {
		return nil, tooLarge(most)
	}
	c.isConsumed = true
	return limitedBody{transfer: c.transfer, most: most, body: http.MaxBytesReader(c.gin.Writer, c.gin.Request.Body, most)}, nil
}

// AnswerContents chooses an answer that is copied from contents once its headers are out, and closes them. The length
// is what they hold. Nil contents are an answer without a body, such as HEAD's.
func (c *Call) AnswerContents(status int, contents io.ReadCloser, length int64) {
	c.answer.status, c.answer.contents, c.answer.length = status, contents, length
}

// copyContents sends contents. Where they break off, so does the connection: fewer bytes were sent than were promised.
func (c *Call) copyContents() {
	w := c.gin.Writer
	buffer := make([]byte, 64<<10)
	for left := c.answer.length; left > 0; {
		n, err := c.answer.contents.Read(buffer[:min(int64(len(buffer)), left)])
		if n > 0 {
			left -= int64(n)
			if _, wrote := c.transfer.step(c.transfer.control.SetWriteDeadline, func() (int, error) { return w.Write(buffer[:n]) }); wrote != nil {
				c.gin.Set(errorKey, wrote)
				return
			}
		}
		if err != nil && left > 0 {
			c.gin.Set(errorKey, errors.Join(errors.New("the contents broke off"), err))
			return
		}
	}
}

// refuse answers a streaming request with an error while its body may still be on the way.
func (a *API) refuse(c *Call, err error) {
	_ = c.transfer.control.SetWriteDeadline(a.deps.Now().Add(answerPatience))
	hasBody := c.gin.Request.Body != nil && c.gin.Request.ContentLength != 0
	if hasBody {
		_ = c.transfer.control.EnableFullDuplex() // the server would cut the body off before the answer is out
		c.gin.Writer.Header().Set("Connection", "close")
	}
	a.fail(c.gin, err)
	if !hasBody || c.gin.GetHeader("Expect") != "" && !c.isConsumed {
		return // a client that asked first sends nothing now
	}
	c.gin.Writer.Flush()
	_ = c.transfer.control.SetReadDeadline(a.deps.Now().Add(lingerPatience))
	_, _ = io.CopyN(io.Discard, c.gin.Request.Body, lingerBytes)
}
