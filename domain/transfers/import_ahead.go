package transfers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// How much goes into one transaction. Two batches are in memory at a time.
const (
	batchRows  = 1000
	batchBytes = 4 << 20
)

// batch is rows that were read together, and are kept together.
type batch struct {
	records []record
	// last says that there is nothing behind it, or nothing that can be read: then broken says why.
	last   bool
	broken error
	// position is how much of size was read.
	position, size int64
}

// ahead reads the next batch, and makes its records, while the database keeps the one before.
type ahead struct {
	batches chan batch
	// stop ends the reading, and returns when it has ended.
	stop func()
	// err is why there are no more batches, and panicked what went wrong in the program; for who sees that they ended.
	err      error
	panicked any
}

// next is the next batch. It panics where the reading did.
func (r *ahead) next() (batch, error) {
	b, ok := <-r.batches
	if !ok && r.panicked != nil {
		panic(r.panicked)
	}
	if !ok {
		return batch{}, r.err
	}
	return b, nil
}

// readAhead reads what is behind the rows that are done with. Nobody else touches the rows until it is stopped, or the
// last batch is there.
func (w *importRun) readAhead(ctx context.Context) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	r := &ahead{batches: make(chan batch)}
	from := w.state.Row
	var ended sync.WaitGroup
	ended.Go(func() {
		defer close(r.batches)
		defer func() {
			if p := recover(); p != nil {
				r.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		for last := false; !last; {
			b, err := w.nextBatch(ctx, from)
			if err != nil {
				r.err = err
				return
			}
			select {
			case r.batches <- b:
				last = b.last
			case <-ctx.Done():
				r.err = ctx.Err()
				return
			}
		}
		r.err = io.ErrUnexpectedEOF // who asks for more than the last has a bug
	})
	r.stop = func() {
		cancel()
		ended.Wait()
	}
	return r
}

// nextBatch reads on as far as a batch is full. Rows up to from are passed over.
func (w *importRun) nextBatch(ctx context.Context, from int64) (b batch, err error) {
	defer func() { b.position, b.size = w.rows.position() }()
	size := 0
	for len(b.records) < batchRows && size < batchBytes {
		if err := ctx.Err(); err != nil {
			return b, err
		}
		r, err := w.rows.next()
		switch {
		case errors.Is(err, io.EOF):
			b.last = true
			return b, nil
		case err != nil:
			if f, ok := fault.As(err); ok && f.Kind == fault.Invalid {
				b.last, b.broken = true, err
				return b, nil
			}
			return b, err
		case r.isBlank():
			continue
		}
		read, n, err := w.record(r, w.rows.isRagged())
		if err != nil {
			return b, err
		}
		if size += n; r.number > from {
			w.prepare(&read)
			b.records = append(b.records, read)
		}
	}
	return b, nil
}
