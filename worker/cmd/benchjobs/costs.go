package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// costs are processor times. Unlike rates, they hardly depend on what else the machine does.
type costs struct{ worker, schedulers, postgres, redis time.Duration }

func (c costs) all() time.Duration { return c.worker + c.schedulers + c.postgres + c.redis }

// String is all of it, and each part's.
func (c costs) String() string {
	return fmt.Sprintf("%d µs (worker %d, schedulers %d, PostgreSQL %d, Redis %d)", c.all().Microseconds(),
		c.worker.Microseconds(), c.schedulers.Microseconds(), c.postgres.Microseconds(), c.redis.Microseconds())
}

// since is what has been used since before, for each of so many jobs.
func (c costs) since(before costs, jobs int) costs {
	each := func(now, then time.Duration) time.Duration { return (now - then) / time.Duration(jobs) }
	return costs{
		each(c.worker, before.worker), each(c.schedulers, before.schedulers),
		each(c.postgres, before.postgres), each(c.redis, before.redis),
	}
}

// used is the processor time that the processes have used so far.
func (b *bench) used(worker *stand.Process) costs {
	var c costs
	if worker != nil {
		c.worker = processorTime(worker.Pid)
	}
	for _, p := range b.schedulers {
		c.schedulers += processorTime(p.Pid)
	}
	postgres, redis := b.Pids()
	c.postgres, c.redis = processorTimeOfTree(postgres), processorTime(redis)
	return c
}

// processorTimeOfTree is that of a process and of its children, those that have ended included.
func processorTimeOfTree(pid int) time.Duration {
	used := ticks(pid, 14, 17)
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(stat(child)) > 4 && stat(child)[4] == strconv.Itoa(pid) {
			used += ticks(child, 14, 15)
		}
	}
	return used
}

func processorTime(pid int) time.Duration { return ticks(pid, 14, 15) }

// ticks is the sum of some fields of a process's /proc/pid/stat, by their numbers in proc(5).
func ticks(pid, from, to int) time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs on Linux
	fields, sum := stat(pid), 0
	for n := from; n <= to && n < len(fields); n++ {
		value, _ := strconv.Atoi(fields[n])
		sum += value
	}
	return time.Duration(sum) * tick
}

// stat are the fields of /proc/pid/stat, the first one at 1.
func stat(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, found := strings.Cut(string(data), ") ") // behind the program's name
	if err != nil || !found {
		return nil
	}
	return append([]string{"", "pid", "name"}, strings.Fields(after)...)
}
