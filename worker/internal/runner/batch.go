package runner

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// mostTogether bounds a batch.
const mostTogether = 500

// errOver is the answer where the runner has stopped.
var errOver = errors.New("the worker has stopped")

// batch does together what many ask for at the same time: what is asked while the last round trip is under way makes
// a next one. Nobody waits for company: what is asked of an idle batch is done at once.
type batch[In, Out any] struct {
	do    func(ctx context.Context, in []In) ([]Out, error)
	asked chan ask[In, Out]
	over  chan struct{}
}

type ask[In, Out any] struct {
	in     In
	answer chan answer[Out]
}

type answer[Out any] struct {
	out Out
	err error
}

// newBatch returns a batch; do answers in the order of what it is given.
func newBatch[In, Out any](do func(ctx context.Context, in []In) ([]Out, error)) *batch[In, Out] {
	return &batch[In, Out]{do: do, asked: make(chan ask[In, Out], mostTogether), over: make(chan struct{})}
}

// ask has one thing done and waits for it.
func (b *batch[In, Out]) ask(in In) (Out, error) {
	answers := make(chan answer[Out], 1)
	var none Out
	select {
	case b.asked <- ask[In, Out]{in, answers}:
	case <-b.over:
		return none, errOver
	}
	select {
	case a := <-answers:
		return a.out, a.err
	case <-b.over:
		return none, errOver
	}
}

// serve works until the context ends, on some batches at once.
func (b *batch[In, Out]) serve(ctx context.Context, atOnce int) {
	defer close(b.over)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() { b.work(ctx) })
	}
	all.Wait()
}

func (b *batch[In, Out]) work(ctx context.Context) {
	var asks []ask[In, Out]
	var in []In
	for {
		asks, in = asks[:0], in[:0]
		select {
		case <-ctx.Done():
			return
		case first := <-b.asked:
			asks, in = append(asks, first), append(in, first.in)
		}
		runtime.Gosched() // those who were woken together ask together
		for more := true; more && len(asks) < mostTogether; {
			select {
			case next := <-b.asked:
				asks, in = append(asks, next), append(in, next.in)
			default:
				more = false
			}
		}
		out, err := b.do(ctx, in)
		if err == nil && len(out) != len(in) {
			err = errors.New("the answers are not as many as the questions")
		}
		for i, each := range asks {
			a := answer[Out]{err: err}
			if err == nil {
				a.out = out[i]
			}
			each.answer <- a
		}
	}
}
