package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// admit lets a call in or says why not: the credential, the limits, the permission.
func (a *API) admit(c *Call) error {
	if c.Route.Access == Public {
		return a.limit(c, a.addressTake(c))
	}
	token, err := bearer(c.Header("Authorization"))
	if err == nil {
		err = a.authenticate(c, token)
	}
	if err != nil {
		if refused := a.limit(c, a.addressTake(c)); refused != nil {
			return refused
		}
		return err
	}
	takes := []limits.Take{{Name: "tenant", Key: c.Scope.Tenant.String(), Rate: a.config.TenantRate}}
	if c.Scope.Actor.Kind == tenancy.APIKey {
		takes = append(takes, limits.Take{Name: "key", Key: c.Scope.Actor.ID.String(), Rate: a.config.KeyRate})
	}
	if err := a.limit(c, takes...); err != nil {
		return err
	}
	return a.permit(c)
}

func (a *API) authenticate(c *Call, token string) error {
	scope, err := a.deps.Identity.Credentials.Authenticate(c.ctx, token)
	if err != nil {
		return err
	}
	scope.RequestID, scope.Trace = c.Scope.RequestID, c.Scope.Trace
	c.Scope, c.token = scope, token
	c.gin.Set(tenantKey, scope.Tenant.String())
	if scope.Actor.Kind == tenancy.User {
		c.gin.Set(userKey, scope.Actor.ID.String())
	} else {
		c.gin.Set(apiKeyKey, scope.Actor.ID.String())
	}
	if c.Route.Access == Signed && scope.Actor.Kind != tenancy.User {
		return fault.New(fault.Forbidden, "session_required", "This is for signed-in users; an API key cannot do it.")
	}
	return nil
}

// permit refuses what the actor may not. Before it says no it makes sure that the credential is not simply older than
// a change of role, which signing in anew would mend.
func (a *API) permit(c *Call) error {
	permission := c.Route.Permission
	if permission == "" || c.Scope.Actor.May(permission) {
		return nil
	}
	if err := a.deps.Identity.Credentials.Verify(c.ctx, c.Scope); err != nil {
		return err
	}
	return permissionDenied(permission)
}

func permissionDenied(permission string) error {
	return fault.New(fault.Forbidden, "permission_denied",
		fmt.Sprintf("This needs the permission %s, which you do not have here; ask an administrator of the organization.", permission))
}

// isOutdated says that the database refused what was remembered of an API key. Nothing was done then; with the key
// looked up anew the call may be tried once more.
func (a *API) isOutdated(c *Call, err error) bool {
	if c.token == "" || c.Scope.Actor.Kind != tenancy.APIKey || fault.KindOf(err) != fault.Unauthorized {
		return false
	}
	a.deps.Identity.Credentials.Forget(c.token)
	return true
}

func bearer(header string) (string, error) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	switch {
	case header == "":
		return "", fault.New(fault.Unauthorized, "auth.required",
			"This needs a credential; send Authorization: Bearer with an access token or an API key.")
	case !ok || !strings.EqualFold(scheme, "Bearer") || token == "":
		return "", fault.New(fault.Unauthorized, "auth.invalid_token",
			"The Authorization header is not understood; write it as: Bearer <access token or API key>.")
	}
	return token, nil
}

func (a *API) addressTake(c *Call) limits.Take {
	return limits.Take{Name: "address", Key: c.ClientAddress(), Rate: a.config.AddressRate}
}

// limit spends the takes, shows the tightest in the headers, and refuses with the time to wait.
func (a *API) limit(c *Call, takes ...limits.Take) error {
	verdicts, err := a.deps.Limiter.Take(c.ctx, takes...)
	if err != nil {
		return fmt.Errorf("take from the limits: %w", err)
	}
	h := c.gin.Writer.Header()
	if v, ok := tightest(verdicts); ok {
		limitHeaders(h, v, a.deps.Now())
	}
	refusal, refused := limits.Refusal(verdicts)
	if !refused {
		return nil
	}
	limitHeaders(h, refusal, a.deps.Now())
	f := fault.New(fault.Limited, "rate_limited", fmt.Sprintf(
		"More than %d requests in %s by this %s; wait as long as Retry-After says.", refusal.Limit, refusal.Per, refusal.Name))
	f.RetryAfter = max(refusal.RetryAfter, time.Second)
	return f
}

// tightest is the limit nearest to its end, by share.
func tightest(verdicts []limits.Verdict) (limits.Verdict, bool) {
	var best limits.Verdict
	for _, v := range verdicts {
		if v.Limit > 0 && (best.Limit == 0 || v.Remaining*best.Limit < best.Remaining*v.Limit) {
			best = v
		}
	}
	return best, best.Limit > 0
}

// limitHeaders writes both kinds: those of draft-ietf-httpapi-ratelimit-headers, whose times are seconds from now, and
// the X- ones that clients know, whose reset is an epoch second.
func limitHeaders(h http.Header, v limits.Verdict, now time.Time) {
	limit, remaining := strconv.FormatInt(v.Limit, 10), strconv.FormatInt(v.Remaining, 10)
	name := `"` + v.Name + `"` // a word of ours
	h.Set("RateLimit-Policy", name+";q="+limit+";w="+strconv.Itoa(seconds(v.Per)))
	h.Set("RateLimit", name+";r="+remaining+";t="+strconv.Itoa(seconds(v.ResetAfter)))
	h.Set("X-RateLimit-Limit", limit)
	h.Set("X-RateLimit-Remaining", remaining)
	h.Set("X-RateLimit-Reset", strconv.FormatInt(now.Add(v.ResetAfter).Unix(), 10))
}
