package connectors

import (
	"context"
	"encoding/json"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// maxMapping is how large a mapping and the settings may be together, as JSON.
const maxMapping = 32 << 10

// apply checks settings and gives them to the connector. All that is wrong with them is said at once.
func (s *Service) apply(ctx context.Context, scope tenancy.Scope, c *Connector, in Settings, found []fault.Violation) error {
	in.Name, in.URL = strings.TrimSpace(in.Name), strings.TrimSpace(in.URL)
	bad := func(pointer, code, detail string) {
		found = append(found, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	kind := s.kind(c.Kind)
	if kind == nil {
		bad("/kind", "oneof", "must be one of: "+strings.Join(s.kinds(), ", "))
	} else {
		complete, wrong := kind.Complete(in.Settings)
		c.Settings, found = complete, append(found, wrong...)
	}
	d := definitionOf(s.needs.Resources, c.Resource)
	if d == nil {
		bad("/resource", "oneof", "must be one of: "+strings.Join(s.resources(), ", "))
		return fault.Values(found...)
	}
	mayDo := *c
	mayDo.DeleteMissing = in.DeleteMissing
	if err := may(scope, mayDo); err != nil {
		return err
	}
	isSame := c.By == in.By && sameJSON(c.Mapping, in.Mapping)
	if !isSame {
		c.History = slices.Contains(d.Permissions(), d.BackfillPermission()) && scope.Actor.May(d.BackfillPermission())
	}
	_, wrong := transfers.ReadShape(d, in.By, in.Mapping, c.History)
	found = append(found, wrong...)
	found = append(found, checkSchedule(in.Schedule)...)
	if data, err := json.Marshal([]any{in.Mapping, in.Settings}); err != nil || len(data) > maxMapping {
		bad("/mapping", "max", "is too large; mapping and settings may take "+strconv.Itoa(maxMapping)+" bytes together")
	}
	found = append(found, checkAuth(*c, in)...)
	if len(found) > 0 {
		return fault.Values(found...)
	}
	if in.URL != c.URL {
		form, err := kind.Check(ctx, in.URL)
		if err != nil {
			return err
		}
		in.URL = form
	}
	return s.assign(c, in)
}

// assign gives a connector settings that were checked.
func (s *Service) assign(c *Connector, in Settings) error {
	isDue := in.Schedule != nil && !in.Paused && (c.Schedule == nil || c.Paused || !sameJSON(c.Schedule, in.Schedule))
	c.Name, c.URL, c.By, c.Mapping, c.Schedule, c.Paused = in.Name, in.URL, in.By, in.Mapping, in.Schedule, in.Paused
	c.RequestsPerMinute, c.DeleteMissing, c.FullEveryHours = in.RequestsPerMinute, in.DeleteMissing, in.FullEveryHours
	switch {
	case in.Schedule == nil || in.Paused:
		c.NextSyncAt = nil
	case isDue:
		c.NextSyncAt = new(s.moment())
	}
	if in.AuthHeader == nil {
		c.AuthHeader, c.AuthSealed = nil, nil
		return nil
	}
	c.AuthHeader = new(textproto.CanonicalMIMEHeaderKey(*in.AuthHeader))
	if in.AuthValue != nil {
		return s.seal(c, *in.AuthValue)
	}
	return nil
}

// checkAuth says what is wrong with a credential. One that is known goes to the host only that it was given for: who may
// change a connector does not learn it by pointing the connector elsewhere.
func checkAuth(c Connector, in Settings) (found []fault.Violation) {
	bad := func(name, code, detail string) {
		found = append(found, fault.Violation{Pointer: "/" + name, Code: code, Detail: detail})
	}
	switch {
	case in.AuthHeader == nil && in.AuthValue != nil:
		bad("auth_header", "required", "is required with auth_value: the header that it is sent in, such as Authorization")
	case in.AuthHeader != nil && in.AuthValue == nil && c.AuthSealed == nil:
		bad("auth_value", "required", "is required with auth_header: the credential")
	case in.AuthHeader != nil && in.AuthValue == nil && originOf(c.URL) != originOf(in.URL):
		bad("auth_value", "required", "must be sent again where the URL leads to another host: the credential was given for the old one")
	}
	if in.AuthHeader != nil && !isOwnHeader(*in.AuthHeader) {
		bad("auth_header", "header", "is no header that a credential goes in; use Authorization, or a name such as X-Api-Key")
	}
	if in.AuthValue != nil && (*in.AuthValue == "" || strings.TrimFunc(*in.AuthValue, func(r rune) bool { return r >= ' ' && r <= '~' }) != "" ||
		strings.TrimSpace(*in.AuthValue) != *in.AuthValue) {
		bad("auth_value", "header", "must hold printable ASCII, without spaces at its ends")
	}
	return found
}

// originOf is the scheme, host and port of a URL; "" for what is none.
func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// isOwnHeader says whether a header is one that is not the connection's own.
func isOwnHeader(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	lower := strings.ToLower(name)
	if lower == "" || strings.Trim(lower, letters) != "" || strings.HasPrefix(lower, "content-") || strings.HasPrefix(lower, "proxy-") ||
		strings.HasPrefix(lower, "if-") || strings.HasPrefix(lower, "accept") {
		return false
	}
	return !slices.Contains([]string{"host", "connection", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect", "range", "user-agent"}, lower)
}

func checkSchedule(in *Schedule) (found []fault.Violation) {
	if in == nil {
		return nil
	}
	if (in.EveryMinutes == nil) == (in.DailyAt == nil) {
		found = append(found, fault.Violation{Pointer: "/schedule", Code: "required", Detail: "needs either every_minutes or daily_at"})
	}
	if in.DailyAt != nil {
		if _, err := time.Parse("15:04", *in.DailyAt); err != nil {
			found = append(found, fault.Violation{Pointer: "/schedule/daily_at", Code: "time", Detail: "is no time of day; write it as 02:30"})
		}
	}
	return found
}

// maxRest is how long a connector rests at most that fails again and again.
const maxRest = 24 * time.Hour

// Next is when a connector syncs next that has just been due. Each sync that was given up since the last good one doubles
// the wait, up to a day.
func (s Schedule) Next(now time.Time, zone *time.Location, failures int64) time.Time {
	if s.DailyAt != nil {
		at, err := time.Parse("15:04", *s.DailyAt)
		if err == nil {
			_, next := schedules.NextIn(schedules.Daily(at.Hour(), at.Minute()), now, zone)
			return next
		}
	}
	wait := maxRest
	if s.EveryMinutes != nil {
		wait = time.Duration(*s.EveryMinutes) * time.Minute
	}
	for range min(failures, 10) {
		wait = max(wait, min(2*wait, maxRest))
	}
	return now.Add(wait)
}

func (s *Service) kind(name string) Kind { return kindOf(s.needs.Kinds, name) }

func kindOf(all []Kind, name string) Kind {
	for _, k := range all {
		if k.Name() == name {
			return k
		}
	}
	return nil
}

func (s *Service) kinds() []string {
	names := make([]string, len(s.needs.Kinds))
	for i, k := range s.needs.Kinds {
		names[i] = k.Name()
	}
	return names
}

func (s *Service) resources() []string {
	names := make([]string, len(s.needs.Resources))
	for i, d := range s.needs.Resources {
		names[i] = d.Plural
	}
	return names
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
