package lifecycle

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapFloor is how much a process allocates, in bytes, between two collections of garbage at least. The collector waits
// until the heap has doubled; those of our processes are so small at rest that under load they would be collected
// hundreds of times a second, for a third of the processor's time.
const heapFloor = 16 << 20

// giveBack gives memory back to the system whenever the process comes to rest: garbage below heapFloor would stay for
// minutes, among it the 19 MiB of each password's hash.
func giveBack(ctx context.Context) {
	const (
		every  = 5 * time.Second
		atRest = 4 << 20 // bytes allocated meanwhile, by what is done without being asked for and by who asks for metrics
	)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last, isBusy := uint64(0), true; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := allocated()
		wasBusy := isBusy
		isBusy, last = now-last > atRest, now
		if wasBusy && !isBusy {
			debug.FreeOSMemory()
		}
	}
}

// allocated is how many bytes the process has allocated since its start.
func allocated() uint64 {
	sample := make([]metrics.Sample, 1)
	sample[0].Name = "/gc/heap/allocs:bytes"
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
