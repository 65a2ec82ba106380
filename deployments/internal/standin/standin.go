// Package standin stands in for a web app where there is none yet: it serves the pages that links in mails lead to.
//
// deployments/local and deployments/mailbox serve it beside the mails. It is never a part of the product.
package standin

import (
	"embed"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
)

//go:embed pages
var pages embed.FS

// Handler serves the pages, and takes what they post to the API at the origin api. It serves nothing else, and keeps nothing.
func Handler(api string) (http.Handler, error) {
	target, err := url.Parse(api)
	if err != nil {
		return nil, fmt.Errorf("the API's origin: %w", err)
	}
	mux := http.NewServeMux()
	file := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, pages, "pages/"+name) }
	}
	for _, path := range []string{
		"/verify-email", "/reset-password", "/accept-invitation", "/forgot-password", "/settings/sessions", "/settings/api-keys", "/settings/webhooks", "/exports",
	} {
		mux.HandleFunc("GET "+path, file("page.html"))
	}
	mux.HandleFunc("GET /app/page.css", file("page.css"))
	mux.HandleFunc("GET /app/page.js", file("page.js"))
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Path = "/api/v1" + r.In.URL.Path[len("/app/api"):]
		r.SetURL(target)
	}}
	for _, path := range []string{"/auth/email/verify", "/auth/password/reset", "/auth/password/forgot", "/invitations/accept"} {
		mux.Handle("POST /app/api"+path, proxy)
	}
	return mux, nil
}
