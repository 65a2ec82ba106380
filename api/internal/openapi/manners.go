package openapi

// manners is what holds for every operation, in Markdown: the document's introduction.
const manners = `Everything is JSON in snake_case under ` + "`/api/v1`" + `. Times are RFC 3339 in UTC, ids are UUIDs that sort by time, and money is
whole minor units. A field or a parameter that is not known is an error that names it, so that a typing mistake is not silently ignored.

## Credentials

Send ` + "`Authorization: Bearer …`" + ` with an access token or an API key. ` + "`POST /api/v1/auth/login`" + ` gives an access token, which is good for
minutes, and a refresh token, which is exchanged for the next pair. An API key belongs to an organization and may do what its scopes say.
The credential decides which organization's data is seen; no request names one. What belongs to another organization does not exist: 404.

## Lists

A list answers ` + "`data`" + `, ` + "`next_cursor`" + ` and ` + "`prev_cursor`" + `; the same stands in the ` + "`Link`" + ` header. Send a cursor back with the same filters and
the same order to get the page that it stands for; null means that there is none. Pages hold 25 records, or up to 100 with ` + "`limit`" + `.

- ` + "`status=paid,placed`" + ` is one of these, ` + "`total_cents[gte]=1000`" + ` compares, ` + "`email[null]=true`" + ` finds what is missing.
- ` + "`tags[any]=vip,new`" + ` holds one of them, ` + "`tags[all]=vip,new`" + ` both. ` + "`custom.color=red`" + ` looks into custom fields.
- ` + "`sort=-created_at,name`" + ` orders by several fields. ` + "`fields=name,email`" + ` answers with those alone. ` + "`trashed=only`" + ` shows the trash.

## Changes that do not clobber

An answer has an ` + "`ETag`" + `, made of the record's version. Send it as ` + "`If-Match`" + ` with a change: where somebody else was faster the answer is 412 and
nothing is done. Send it as ` + "`If-None-Match`" + ` with a read: where nothing has changed the answer is 304. PATCH takes a merge patch (RFC 7396).

## Repeats that do not double

Send an ` + "`Idempotency-Key`" + ` with a POST, and repeat it with the same key as often as you must: it happens once, and each repeat gets the first answer,
with ` + "`Idempotency-Replayed: true`" + `. Keys are kept for a day. An answer that held a secret is not kept: its repeat is a 409 that says where to look.

## Limits

Requests are limited by organization, by API key, and by address where no credential is shown. ` + "`RateLimit`" + ` and ` + "`X-RateLimit-*`" + ` show what is left
of the limit that is nearest to its end; a 429 says in ` + "`Retry-After`" + ` how long to wait.

## Errors

An error is a problem (RFC 9457): branch on ` + "`code`" + `, show ` + "`detail`" + `, look into ` + "`errors`" + ` for the values that are wrong, and quote ` + "`request_id`" + ` in a
report. [Every code is explained](/docs/errors).
`
