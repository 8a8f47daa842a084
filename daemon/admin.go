package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eiffelbridge/eiffelbridge/daemon/board"
	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
)

// admin is the listener for people and machines that look after the relay.
type admin struct {
	listener net.Listener
	server   *http.Server
	done     chan struct{}
}

func (a AdminSettings) validate() error {
	if a.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(a.Listen)
	if err != nil {
		return fmt.Errorf("listen: %q is not host:port", a.Listen)
	}
	if !loopback(host) && a.Token == "" {
		return fmt.Errorf("listen: %q can be reached from outside this machine, which needs a token", a.Listen)
	}
	return nil
}

// loopback does not resolve names but the one that always means this machine: what a name means may change.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// startAdmin takes of the settings what no reload changes.
func startAdmin(d *Daemon, settings Settings) (*admin, error) {
	listener, err := net.Listen("tcp", settings.Admin.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: listen: %w", err)
	}
	a := &admin{listener: listener, done: make(chan struct{})}
	a.server = &http.Server{
		Handler:           authorized(settings.Admin.Token, d.adminHandler(settings)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(a.done)
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("admin listener ended", "error", err)
		}
	}()
	d.log.Info("admin listener started", "address", listener.Addr().String())
	return a, nil
}

func (a *admin) close(ctx context.Context) error {
	err := a.server.Shutdown(ctx)
	if err != nil {
		err = a.server.Close()
	}
	<-a.done
	return err
}

// authorized asks for the token, if there is one.
func authorized(token Secret, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	// Hashes have one length, so that the time of the comparison tells nothing about the token.
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		sum := sha256.Sum256([]byte(got))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a bearer token is required", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (d *Daemon) adminHandler(settings Settings) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, answer := d.ready()
		w.Header().Add("Vary", "Accept")
		if !wantsText(r) {
			writeJSON(w, status, answer)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(status)
		answer.text(w)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /services", func(w http.ResponseWriter, r *http.Request) {
		services, err := board.Board(r.Context(), settings.Ledger)
		if err != nil {
			d.log.Error("services cannot be listed", "error", err)
			http.Error(w, "the ledger cannot be read", http.StatusServiceUnavailable)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"services": services})
	})
	mux.HandleFunc("GET /deadletters", func(w http.ResponseWriter, r *http.Request) {
		letters := []deadletters.Letter{}
		if lister, ok := settings.Letters.(interface {
			List() ([]deadletters.Letter, error)
		}); ok {
			list, err := lister.List()
			if err != nil {
				d.log.Error("dead letters cannot be listed", "error", err)
				http.Error(w, "the dead letters cannot be read", http.StatusServiceUnavailable)
				return
			}
			letters = append(letters, list...)
		}
		writeJSON(w, http.StatusOK, map[string]any{"dead_letters": letters})
	})
	return mux
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v) // the client has gone
}
