package mailsink

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// page shows the mails of a box.
type page struct {
	box   *box
	whole *template.Template
}

// newPage serves the mails:
//
//	GET /                the newest mail beside the list of all
//	GET /mail/{id}       one mail beside the list; /html is its HTML alone, /raw its source
//	GET /messages        all, as JSON, newest first; ?to= only those to an address
//	GET /messages/{id}   one, as JSON
//	DELETE /messages     forgets all
func newPage(b *box, beside http.Handler) http.Handler {
	p := &page{box: b, whole: template.Must(template.New("page.html").Funcs(template.FuncMap{
		"pieces": pieces, "ago": func(t time.Time) string { return t.Local().Format("2 Jan 15:04:05") },
	}).ParseFS(assets, "assets/page.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.newest)
	mux.HandleFunc("GET /mail/{id}", p.one(p.show))
	mux.HandleFunc("GET /mail/{id}/html", p.one(p.html))
	mux.HandleFunc("GET /mail/{id}/raw", p.one(func(w http.ResponseWriter, _ *http.Request, m Mail) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(m.Raw)
	}))
	mux.HandleFunc("GET /messages", p.list)
	mux.HandleFunc("GET /messages/{id}", p.one(func(w http.ResponseWriter, _ *http.Request, m Mail) { writeJSON(w, m) }))
	mux.HandleFunc("DELETE /messages", p.clear)
	mux.HandleFunc("GET /latest", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]int{"id": p.view().Newest})
	})
	for _, name := range []string{"style.css", "page.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, assets, "assets/"+name) })
	}
	if beside != nil {
		mux.Handle("/", beside)
	}
	return guarded(mux)
}

// guarded refuses what a page of somewhere else could ask for through a browser on this machine: a name that leads here
// (DNS rebinding), and a change that another origin asks for. Mails hold links that let in.
func guarded(next http.Handler) http.Handler {
	protected := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalName(r.Host) {
			http.Error(w, "Ask for this page by its address, such as 127.0.0.1, or as localhost.", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "+
			"frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'")
		protected.ServeHTTP(w, r)
	})
}

func isLocalName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.Trim(host, "[]")
	_, err = netip.ParseAddr(host)
	return err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// one hands over the mail that the path names.
func (p *page) one(show func(http.ResponseWriter, *http.Request, Mail)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		m, found := p.box.find(id)
		if err != nil || !found {
			http.Error(w, "There is no such mail; the last ones are kept.", http.StatusNotFound)
			return
		}
		show(w, r, m)
	}
}

// view is what the page shows.
type view struct {
	Mails  []Mail
	Chosen *Mail
	// Newest is the number of the newest mail, 0 where there is none.
	Newest int
}

func (p *page) newest(w http.ResponseWriter, _ *http.Request) {
	v := p.view()
	if len(v.Mails) > 0 {
		v.Chosen = &v.Mails[0]
	}
	p.render(w, v)
}

func (p *page) show(w http.ResponseWriter, _ *http.Request, m Mail) {
	v := p.view()
	v.Chosen = &m
	p.render(w, v)
}

func (p *page) view() view {
	v := view{Mails: p.box.list()}
	if len(v.Mails) > 0 {
		v.Newest = v.Mails[0].ID
	}
	return v
}

func (p *page) render(w http.ResponseWriter, v view) {
	var b bytes.Buffer
	if err := p.whole.Execute(&b, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// html is the mail's own HTML, which may do nothing but be looked at; its links open beside the page.
func (*page) html(w http.ResponseWriter, _ *http.Request, m Mail) {
	w.Header().Set("Content-Security-Policy", "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "+
		"style-src 'unsafe-inline'; img-src data: http: https:; font-src data: https:; form-action 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	const beside = `<base target="_blank">`
	shown := strings.Replace(m.HTML, "<head>", "<head>"+beside, 1)
	if shown == m.HTML { // in front of a whole document it would change how that is laid out
		shown = beside + shown
	}
	_, _ = w.Write([]byte(shown))
}

func (p *page) list(w http.ResponseWriter, r *http.Request) {
	to := strings.ToLower(r.URL.Query().Get("to"))
	found := []Mail{}
	for _, m := range p.box.list() {
		if to == "" || strings.Contains(strings.ToLower(strings.Join(m.Recipients, " ")), to) {
			found = append(found, m)
		}
	}
	writeJSON(w, found)
}

func (p *page) clear(w http.ResponseWriter, _ *http.Request) {
	if err := p.box.clear(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(value) // whoever asked may be gone
}

// piece is a part of a text: words, or a link.
type piece struct{ Words, Link string }

// pieces are a text's words and links, in order.
func pieces(text string) (all []piece) {
	for {
		at := links.FindStringIndex(text)
		if at == nil {
			return append(all, piece{Words: text})
		}
		link := trimLink(text[at[0]:at[1]])
		all = append(all, piece{Words: text[:at[0]]}, piece{Link: link})
		text = text[at[0]+len(link):]
	}
}
