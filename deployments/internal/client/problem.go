package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Problem is an error as the API answers it (RFC 9457).
type Problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
		Detail  string `json:"detail"`
	} `json:"errors"`
	RequestID string `json:"request_id"`
}

// UnexpectedError is an answer with another status than was due.
type UnexpectedError struct {
	// Call is the method and the path.
	Call         string
	Status, Want int // Want is 0 where any success was due
	// Problem is zero where the answer is none; Body is how it begins then.
	Problem Problem
	Body    string
}

func newUnexpected(this Call, a Answer) *UnexpectedError {
	const enough = 300
	u := &UnexpectedError{Call: this.name(), Status: a.Status, Want: this.Want}
	if json.Unmarshal(a.Body, &u.Problem) != nil || u.Problem.Code == "" {
		u.Problem, u.Body = Problem{}, strings.TrimSpace(string(a.Body[:min(len(a.Body), enough)]))
	}
	return u
}

// Error shows the request, the status and what the answer says.
func (u *UnexpectedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s answered %d", u.Call, u.Status)
	if u.Want != 0 {
		fmt.Fprintf(&b, " where %d was due", u.Want)
	}
	switch {
	case u.Problem.Code == "" && u.Body == "":
		return b.String()
	case u.Problem.Code == "":
		return b.String() + ": " + u.Body
	}
	fmt.Fprintf(&b, ": %s: %s", u.Problem.Code, u.Problem.Detail)
	for _, e := range u.Problem.Errors {
		fmt.Fprintf(&b, " %s %s.", e.Pointer, e.Detail)
	}
	fmt.Fprintf(&b, " (request %s)", u.Problem.RequestID)
	return b.String()
}

// HasCode says whether an error is an answer with a problem of this code.
func HasCode(err error, code string) bool {
	var u *UnexpectedError
	return errors.As(err, &u) && u.Problem.Code == code
}
