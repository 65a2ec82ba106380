package proc_test

import (
	"fmt"
	"os"
	"syscall"
)

func gettid() int { return syscall.Gettid() }

func threadLives(tid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
	return err == nil
}
