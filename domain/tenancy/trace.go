package tenancy

import "strings"

// Trace is the distributed trace that a request is part of, by W3C Trace Context: "<trace id>-<flags>", in lower-case
// hexadecimal digits; "" for none. It goes where the request's id goes: with jobs and events.
type Trace string

const (
	traceDigits, spanDigits, flagDigits = 32, 16, 2
	// maxTraceparent is how long a header is that is read: those of later versions may be longer than version 00.
	maxTraceparent = 512
)

// ParseTrace reads a traceparent header. One that is not valid is as good as none (W3C Trace Context, 3.2.2).
func ParseTrace(traceparent string) Trace {
	if len(traceparent) > maxTraceparent {
		return ""
	}
	version, rest, ok := strings.Cut(traceparent, "-")
	if !ok || !isHex(version, 2) || version == "ff" {
		return ""
	}
	parts := strings.Split(rest, "-")
	if len(parts) < 3 || version == "00" && len(parts) != 3 {
		return ""
	}
	id, span, flags := parts[0], parts[1], parts[2]
	if !isHex(id, traceDigits) || !isHex(span, spanDigits) || !isHex(flags, flagDigits) ||
		strings.Trim(id, "0") == "" || strings.Trim(span, "0") == "" {
		return ""
	}
	// Of the flags the last bit says that the caller records the trace; the others are not known here.
	if strings.ContainsAny(flags[1:], "13579bdf") {
		return Trace(id + "-01")
	}
	return Trace(id + "-00")
}

func isHex(text string, length int) bool {
	return len(text) == length && strings.Trim(text, "0123456789abcdef") == ""
}

// ID is the trace's, for logs; "" for none.
func (t Trace) ID() string {
	id, _, _ := strings.Cut(string(t), "-")
	return id
}

// Parent is the traceparent header of a call that is part of the trace: span names the call, in 16 hexadecimal digits.
func (t Trace) Parent(span string) string {
	id, flags, _ := strings.Cut(string(t), "-")
	return "00-" + id + "-" + span + "-" + flags
}
