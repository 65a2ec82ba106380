// Package fake plays the product's processes as far as bringing them up is concerned.
package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Run serves health on the address in opsVariable until it is told to stop. FAKE_DIES names a process that ends at once,
// FAKE_IS_UNREADY one that is never ready, FAKE_IGNORES_TERM one that does not stop. POST /die ends a process.
func Run(name, opsVariable string) {
	fmt.Println("hello from", name)
	if os.Getenv("FAKE_DIES") == name {
		fmt.Fprintln(os.Stderr, "fatal: the moon is wrong")
		os.Exit(3)
	}
	ops := http.NewServeMux()
	ops.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]string{"environment": os.Getenv("ENVIRONMENT"), "public_url": os.Getenv("PUBLIC_URL")}
		for _, v := range []string{"DATABASE_URL", "SYSTEM_DATABASE_URL"} {
			if url := os.Getenv(v); url != "" {
				answer[v] = user(r.Context(), url)
			}
		}
		if os.Getenv("FAKE_IS_UNREADY") == name || os.Getenv("MASTER_KEY") == "" || os.Getenv("REDIS_URL") == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	ops.HandleFunc("POST /die", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "fatal: asked to die")
		os.Exit(4)
	})
	serve(os.Getenv(opsVariable), ops)
	if name == "api" {
		serve(os.Getenv("API_ADDR"), api())
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	if os.Getenv("FAKE_IGNORES_TERM") == name {
		fmt.Println("not now")
		select {}
	}
	fmt.Println("bye from", name)
}

func user(ctx context.Context, url string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err.Error()
	}
	defer conn.Close(ctx)
	var name string
	if err := conn.QueryRow(ctx, "SELECT current_user || ' in ' || current_database()").Scan(&name); err != nil {
		return err.Error()
	}
	return name
}

func serve(addr string, handler http.Handler) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fatal:", err)
		os.Exit(1)
	}
	go http.Serve(l, handler)
}

// api answers what the demo tenant needs.
func api() http.Handler {
	var mu sync.Mutex
	passwords := map[string]string{}
	read := func(r *http.Request) (in struct{ Email, Password string }) {
		_ = json.NewDecoder(r.Body).Decode(&in)
		return in
	}
	session := func(w http.ResponseWriter, status int) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"tenant": map[string]string{"id": "a-tenant"}, "access_token": "a-token"})
	}
	problem := func(w http.ResponseWriter, status int, code string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"code": code})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/auth/login", func(w http.ResponseWriter, r *http.Request) {
		in := read(r)
		mu.Lock()
		defer mu.Unlock()
		if password, known := passwords[in.Email]; !known || password != in.Password {
			problem(w, http.StatusUnauthorized, "auth.invalid_credentials")
			return
		}
		session(w, http.StatusOK)
	})
	mux.HandleFunc("POST /api/v1/auth/signup", func(w http.ResponseWriter, r *http.Request) {
		in := read(r)
		mu.Lock()
		defer mu.Unlock()
		if _, taken := passwords[in.Email]; taken {
			problem(w, http.StatusConflict, "auth.email_taken")
			return
		}
		passwords[in.Email] = in.Password
		session(w, http.StatusCreated)
	})
	mux.HandleFunc("POST /api/v1/api-keys", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{"key": "gw_live_fake"})
	})
	mux.HandleFunc("GET /api/v1/customers", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	})
	return mux
}
