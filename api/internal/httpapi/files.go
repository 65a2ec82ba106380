package httpapi

import (
	"net/http"
	"net/url"
	"time"

	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
)

// fileLink is a URL that reads a file without a credential.
type fileLink struct {
	URL       string    `json:"url"        doc:"Reads the file without a credential; keep it as you would a password."`
	ExpiresAt time.Time `json:"expires_at" doc:"From when on it does not."`
}

// linkInput is for how long a link is wanted.
type linkInput struct {
	ExpiresIn *int64 `json:"expires_in" validate:"omitempty,min=1,max=604800" doc:"For how many seconds the link is good; 900 where it is left out." example:"900"`
}

func fileRoutes(service *files.Service, publicURL string) []Route {
	h := fileHandler{service: service, publicURL: publicURL}
	const root, one, contents = "/files", "/files/:id", "/files/:id/content"
	return []Route{
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: members.FilesWrite, Status: http.StatusCreated,
			Summary: "Upload a file", Upload: "file", Answer: files.File{}, Versioned: true, Handle: h.upload,
		},
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.FilesRead, Status: http.StatusOK,
			Params: pageParameters("purpose", "content_type", "from", "to", "trashed"), Summary: "List files, newest first",
			Answer: files.File{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.FilesRead, Status: http.StatusOK,
			Summary: "Read what is known of a file", Answer: files.File{}, Versioned: true,
			Handle: withID(service.Find, answerFileUnlessKnown),
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: members.FilesDelete, Status: http.StatusNoContent,
			Summary: "Put a file into the trash", Handle: withIDAlone(service.Delete),
		},
		{
			Method: http.MethodPost, Path: one + "/restore", Access: Tenant, Permission: members.FilesDelete, Status: http.StatusOK,
			Summary: "Take a file out of the trash", Answer: files.File{}, Versioned: true,
			Handle: withID(service.Restore, answerFile),
		},
		{
			Method: http.MethodPost, Path: one + "/link", Access: Tenant, Permission: members.FilesRead, Status: http.StatusOK,
			Secret: true, Summary: "Make a link that downloads a file without a credential",
			Body: linkInput{}, Answer: fileLink{}, Handle: h.link,
		},
		{
			Method: http.MethodGet, Path: contents, Access: Tenant, Permission: members.FilesRead, Status: http.StatusOK,
			Summary: "Download a file", Binary: true, Handle: withID(service.FindToRead, h.send),
		},
		{
			Method: http.MethodGet, Path: root + "/download", Access: Public, Status: http.StatusOK, Params: []string{"token"},
			Summary: "Download the file of a link", Binary: true, Handle: h.follow,
		},
	}
}

type fileHandler struct {
	service   *files.Service
	publicURL string
}

func (h fileHandler) upload(c *Call) error {
	form, err := c.form(h.service.MaxBytes())
	if err != nil {
		return err
	}
	received, err := h.service.Receive(c.Context(), c.Scope, form.File, files.Input{Name: form.Name})
	if err != nil {
		return err
	}
	replayed, err := false, form.End()
	if err == nil {
		replayed, err = h.keep(c, received)
	}
	if err != nil || replayed {
		h.service.Discard(c.Context(), received, err)
	}
	return err
}

func (h fileHandler) keep(c *Call, received files.Received) (replayed bool, err error) {
	is := received.File()
	return c.once(is.SHA256+is.Name, func() error {
		file, err := h.service.Keep(c.Context(), c.Scope, received)
		if err != nil {
			return err
		}
		return c.answerMade("/files", file.ID, file.Version, file)
	})
}

func (h fileHandler) list(c *Call) error {
	q := c.filteredList("files")
	query := files.Query{Trash: files.Trash(q.Get("trashed"))}
	if q.Has("trashed") && query.Trash != files.WithTrash && query.Trash != files.TrashOnly {
		q.refuse("trashed", "trashed", "must be with or only; leave it out for live files")
	}
	query.Purpose, query.ContentType = q.text("purpose"), q.text("content_type")
	query.From, query.To = q.time("from"), q.time("to")
	return answerList(q, func(request page.Request) (page.Page[files.File], error) {
		query.Request = request
		return h.service.List(c.Context(), c.Scope, query)
	}, itself)
}

func answerFileUnlessKnown(c *Call, file files.File) error {
	return c.answerUnlessKnown(file.Version, file)
}

func answerFile(c *Call, file files.File) error { return c.answerRecord(file.Version, file) }

func (h fileHandler) link(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	var in linkInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	life := files.DefaultLinkLife
	if in.ExpiresIn != nil {
		// What is out of range stays so, whatever a multiplication would make of it.
		if life = time.Duration(min(*in.ExpiresIn, int64(files.MaxLinkLife/time.Second)+1)) * time.Second; *in.ExpiresIn < 1 {
			life = -1
		}
	}
	token, expires, err := h.service.Link(c.Context(), c.Scope, id, life)
	if err != nil {
		return err
	}
	return c.Answer(http.StatusOK, fileLink{
		URL: h.publicURL + Base + "/files/download?token=" + url.QueryEscape(token), ExpiresAt: expires,
	})
}

func (h fileHandler) follow(c *Call) error {
	file, err := h.service.Follow(c.Context(), url.Values(c.Query()).Get("token"))
	if err != nil {
		return err
	}
	c.gin.Set(tenantKey, file.TenantID.String())
	return h.send(c, file)
}
