package sentry

import (
	"path"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/getsentry/sentry-go"
)

// framesOf are the callers as Sentry wants them, the outermost first, without the logger.
func framesOf(callers []uintptr) []sentry.Frame {
	if len(callers) == 0 {
		return nil
	}
	var frames []sentry.Frame
	all := runtime.CallersFrames(callers)
	for {
		frame, more := all.Next()
		if f := newFrame(frame.Function, frame.File, frame.Line); f.Module != "github.com/sirupsen/logrus" && f.Module != "runtime" {
			frames = append(frames, f)
		}
		if !more {
			break
		}
	}
	slices.Reverse(frames)
	return frames
}

// parseStack reads what runtime/debug.Stack has written in a deferred function that recovered a panic: the frames that led
// to the panic, the outermost first. Text that is none has none.
func parseStack(text string) []sentry.Frame {
	var frames []sentry.Frame
	lines := strings.Split(text, "\n")
	for i := 0; i+1 < len(lines); i++ {
		place, indented := strings.CutPrefix(lines[i+1], "\t")
		if !indented {
			continue
		}
		function, _, _ := strings.Cut(strings.TrimPrefix(lines[i], "created by "), " in goroutine ")
		if at := strings.LastIndexByte(function, '('); at > 0 && strings.HasSuffix(function, ")") {
			function = function[:at]
		}
		i++
		if function == "panic" { // what stands above it is the recovering
			frames = nil
			continue
		}
		place, _, _ = strings.Cut(place, " +0x")
		at := strings.LastIndexByte(place, ':')
		if at < 0 {
			continue
		}
		number, err := strconv.Atoi(place[at+1:])
		if err != nil {
			continue
		}
		if f := newFrame(function, place[:at], number); f.Module != "runtime" {
			frames = append(frames, f)
		}
	}
	slices.Reverse(frames)
	return frames
}

// newFrame splits example.com/a/b.(*T).Do into the package and the function.
func newFrame(function, file string, number int) sentry.Frame {
	slash := strings.LastIndexByte(function, '/') + 1
	module, name := "", function
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		module, name = function[:slash+dot], function[slash+dot+1:]
	}
	return sentry.Frame{
		Function: name, Module: module, AbsPath: file, Filename: path.Join(path.Base(module), path.Base(file)), Lineno: number,
		InApp: module == "main" || strings.HasPrefix(module, ours()),
	}
}

// ours is what all packages of the product begin with.
func ours() string {
	return path.Dir(path.Dir(reflect.TypeFor[Reporter]().PkgPath())) + "/"
}
