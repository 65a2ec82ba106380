//go:build !linux

package proc_test

func gettid() int          { return 0 }
func threadLives(int) bool { return false }
