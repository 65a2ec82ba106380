package main

import (
	"embed"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
)

//go:embed app
var appFiles embed.FS

// standIn serves the pages that links in mails lead to, where there is no web app yet, and takes what they post to the API.
// It serves nothing else, and keeps nothing.
func standIn(api string) (http.Handler, error) {
	target, err := url.Parse(api)
	if err != nil {
		return nil, fmt.Errorf("the API's origin: %w", err)
	}
	mux := http.NewServeMux()
	file := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, appFiles, "app/"+name) }
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
