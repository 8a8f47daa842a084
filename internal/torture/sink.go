//go:build unix

package torture

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// answer is how a sink answers a request. noted says that the event counts as delivered: a receiver may have taken an event
// whose sender never learned it.
type answer func(w http.ResponseWriter, r *http.Request, note func())

// sink is the far side over HTTP: it notes the CDEvents that it is sent.
type sink struct {
	recorder *recorder
	server   *http.Server
	address  string
	running  sync.WaitGroup

	mode      atomic.Pointer[answer] // nil: 202
	answers   atomic.Int64           // given while a mode was set
	malformed atomic.Pointer[string]
	open      atomic.Int64 // connections
}

func newSink(recorder *recorder) (*sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{recorder: recorder, address: listener.Addr().String()}
	// Connections that are not used, or never were, it closes soon, so that the relay's goroutines can be counted.
	s.server = &http.Server{Handler: s, IdleTimeout: time.Second, ReadHeaderTimeout: 2 * time.Second, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}}
	s.running.Go(func() { _ = s.server.Serve(listener) })
	return s, nil
}

func (s *sink) close() {
	_ = s.server.Close()
	s.running.Wait()
}

// behave has every request answered in another way; nil ends that.
func (s *sink) behave(a answer) {
	if a == nil {
		s.mode.Store(nil)
		return
	}
	s.mode.Store(&a)
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := r.Header.Get("ce-id")
	if r.Header.Get("Content-Type") == "application/cloudevents+json" {
		var e struct {
			ID   string
			Data json.RawMessage
		}
		if json.Unmarshal(body, &e) == nil {
			id, body = e.ID, e.Data
		}
	}
	if id == "" {
		text := string(body)
		s.malformed.Store(&text)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	note := func() { s.recorder.add(id, body, false) }
	if mode := s.mode.Load(); mode != nil {
		s.answers.Add(1)
		(*mode)(w, r, note)
		return
	}
	note()
	w.WriteHeader(http.StatusAccepted)
}
