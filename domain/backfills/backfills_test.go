package backfills

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDefinition_holds_back(t *testing.T) {
	t.Parallel()
	d := Definition{Name: "a"}.Complete()
	assert.Equal(t, 500, d.Batch)
	assert.Equal(t, 5_000, d.PerSecond)

	assert.Equal(t, 250, d.next(500, 101*time.Millisecond), "a batch that took long is followed by a smaller one")
	assert.Equal(t, leastBatch, d.next(12, time.Minute))
	assert.Equal(t, 126, d.next(100, time.Millisecond), "a quick one by a larger one")
	assert.Equal(t, 500, d.next(499, time.Millisecond), "up to what was declared")
	assert.Equal(t, 400, d.next(400, 70*time.Millisecond))
	assert.Equal(t, 2, Definition{Batch: 2}.next(2, time.Minute), "however little that is")
	for size, rounds := 1, 0; size < 500; rounds++ {
		size = d.next(size, 0)
		assert.Less(t, rounds, 40)
	}

	assert.Equal(t, 90*time.Millisecond, d.pause(500, 10*time.Millisecond), "500 rows are due in a tenth of a second")
	assert.Equal(t, 80*time.Millisecond, d.pause(500, 80*time.Millisecond), "others have half of the time")
	assert.Equal(t, time.Duration(0), d.pause(0, 0))
}
