package webhooks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The statuses that say more than success or failure (Standard Webhooks).
const (
	statusGone            = 410
	statusTooMany         = 429
	statusBadGateway      = 502
	statusUnavailable     = 503
	statusGatewayTimeout  = 504
	keptHeaders           = 50
	keptHeaderValue       = 1000
	formOfRetryAfterAsDay = "Mon, 02 Jan 2006 15:04:05 GMT" // RFC 9110 §5.6.7
)

// attemptOf is the record of a call.
func attemptOf(number int64, began, now time.Time, a Answer) Attempt {
	attempt := Attempt{
		Number: number, At: began, DurationMS: now.Sub(began).Milliseconds(), ResponseHeaders: map[string]string{}, IsCut: a.IsCut,
		ResponseBody: printable(a.Body[:min(len(a.Body), KeptBody)]),
	}
	if a.Status != 0 {
		attempt.Status = new(int64(a.Status))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if len(attempt.ResponseHeaders) == keptHeaders {
			break
		}
		value := strings.Join(a.Header[name], ", ")
		attempt.ResponseHeaders[printable([]byte(name))] = printable([]byte(value[:min(len(value), keptHeaderValue)]))
	}
	return attempt
}

// printable is text as it can be kept: UTF-8 without NUL.
func printable(b []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(b), "\uFFFD"), "\x00", "\uFFFD")
}

// failureOf says how a call failed; nil where it did not. The error is one that is no receiver's fault.
func failureOf(a Answer, failed error, now time.Time) (*Failure, error) {
	var unanswered *UnansweredError
	switch refused, isRefused := asRefused(failed); {
	case isRefused:
		return &Failure{Reason: "the URL " + refused.Detail}, nil
	case errors.As(failed, &unanswered):
		return &Failure{Reason: unanswered.Reason, IsTimeout: unanswered.IsTimeout}, nil
	case failed != nil:
		return nil, fmt.Errorf("call the endpoint: %w", failed)
	case a.Status >= 200 && a.Status < 300:
		return nil, nil //nolint:nilnil // no failure is success
	}
	f := &Failure{Reason: "the endpoint answered " + strconv.Itoa(a.Status), RetryAfter: retryAfter(a.Header, now)}
	switch {
	case a.Status >= 300 && a.Status < 400:
		f.Reason += ", a redirect, which is not followed; give the endpoint its new URL"
	case a.Status == statusGone:
		f.Gone = true
		f.Reason += ": it wants no more messages, and was disabled"
	case a.Status == statusTooMany, a.Status == statusBadGateway, a.Status == statusGatewayTimeout,
		a.Status == statusUnavailable && f.RetryAfter > 0:
		f.Throttles = true
	}
	return f, nil
}

// retryAfter reads Retry-After, in seconds or as a date, up to a day; 0 where it says nothing.
func retryAfter(header map[string][]string, now time.Time) time.Duration {
	values := header["Retry-After"]
	if len(values) == 0 {
		return 0
	}
	text := strings.TrimSpace(values[0])
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := time.Parse(formOfRetryAfterAsDay, text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
