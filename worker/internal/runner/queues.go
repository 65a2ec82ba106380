package runner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// MaxWorkers is how many jobs of a queue a process may run at once.
const MaxWorkers = 500

// NoQueue stands in the place of queues for a process that serves none.
const NoQueue = "none"

// Queue is a queue that a process serves, with how many of its jobs at once: "critical=20".
type Queue struct {
	Name    string
	Workers int
}

// String is "critical=20".
func (q Queue) String() string { return q.Name + "=" + strconv.Itoa(q.Workers) }

// Kind describes the form, for the settings' help.
func (Queue) Kind() string {
	return "queue=workers (" + strings.Join(jobs.Queues(), ", ") + "; 1 to " + strconv.Itoa(MaxWorkers) + " workers), or " + NoQueue
}

// UnmarshalText reads what String wrote, and NoQueue as a queue without a worker.
func (q *Queue) UnmarshalText(text []byte) error {
	if string(text) == NoQueue {
		*q = Queue{Name: NoQueue}
		return nil
	}
	name, number, found := strings.Cut(string(text), "=")
	workers, err := strconv.Atoi(number)
	switch {
	case !slices.Contains(jobs.Queues(), name):
		return fmt.Errorf("names no queue: there is no %q", name)
	case !found || err != nil:
		return fmt.Errorf("does not say how many jobs of %s to run at once, as in %s=10", name, name)
	case workers < 1 || workers > MaxWorkers:
		return fmt.Errorf("has %d workers for %s, which may have 1 to %d", workers, name, MaxWorkers)
	}
	*q = Queue{Name: name, Workers: workers}
	return nil
}

// Served returns the queues to serve, none where NoQueue is all there is, and what is wrong with the list.
func Served(queues []Queue) ([]Queue, error) {
	seen := map[string]bool{}
	for _, queue := range queues {
		if seen[queue.Name] {
			return nil, fmt.Errorf("%s stands there twice; name each queue once", queue.Name)
		}
		seen[queue.Name] = true
	}
	if !seen[NoQueue] {
		return queues, nil
	}
	if len(queues) > 1 {
		return nil, fmt.Errorf("%s stands beside queues; give it alone, or the queues without it", NoQueue)
	}
	return nil, nil
}
