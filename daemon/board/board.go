// Package board tells what runs where, and what ran there before, from the histories in the ledger.
package board

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Name identifies a service or an environment.
type Name struct {
	ID     string `json:"id"`
	Source string `json:"source,omitempty"`
}

// The states of a service in an environment.
const (
	Running = "running"
	Removed = "removed"
)

// The kinds of what happened to a service.
const (
	Deployment        = "deployed"
	Upgrade           = "upgraded"
	Rollback          = "rolledback"
	Removal           = "removed"
	EnvironmentClosed = "environment_deleted" // the environment was deleted, and the service with it
)

// Service is one service in one environment.
type Service struct {
	Service     Name      `json:"service"`
	Environment Name      `json:"environment"`
	Artifact    string    `json:"artifact,omitempty"` // purl of what runs, or ran last
	Version     string    `json:"version,omitempty"`  // of the artifact, if its purl has one
	Since       time.Time `json:"since"`              // UTC
	EventID     string    `json:"event_id"`           // the Eiffel event that says so
	Status      string    `json:"status"`
	History     []Event   `json:"history"` // oldest first; the ledger keeps the last hundred at least
}

// Event is one thing that happened to a service.
type Event struct {
	Time     time.Time `json:"time"` // UTC
	What     string    `json:"what"`
	Artifact string    `json:"artifact,omitempty"`
	Version  string    `json:"version,omitempty"`
	EventID  string    `json:"event_id"`
}

// Reader is the part of a ledger that the board needs.
type Reader interface {
	Read(ctx context.Context, queries []records.Query) ([]records.Record, error)
	Scan(ctx context.Context, kind records.FactKind, f func(key string, record []byte) error) error
}

// Board reads what runs where, ordered by environment, then by service.
func Board(ctx context.Context, ledger Reader) ([]Service, error) {
	type row struct {
		service, environment Name
		entries              []records.Entry
	}
	var rows []row
	line := "" // of the last row; the entries of a line come one after the other, oldest first
	err := ledger.Scan(ctx, records.EntryFact, func(key string, record []byte) error {
		q, ok := records.Query{Kind: records.EntryFact, Key: key}.Parent()
		parts, valid := records.ParseKey(key)
		if !ok || !valid || len(parts) != 5 {
			return fmt.Errorf("the ledger has an entry with the key %q", key)
		}
		stamp, ok := records.ParseStamp(parts[4])
		if !ok {
			return fmt.Errorf("the ledger has an entry with the key %q", key)
		}
		entry, err := records.DecodeEntry(stamp, record)
		if err != nil {
			return fmt.Errorf("the ledger's entry %s: %w", key, err)
		}
		if len(rows) == 0 || q.Key != line {
			line = q.Key
			rows = append(rows, row{service: Name{ID: parts[1], Source: parts[0]}, environment: Name{ID: parts[3], Source: parts[2]}})
		}
		last := &rows[len(rows)-1]
		last.entries = append(last.entries, *entry)
		return nil
	})
	if err != nil {
		return nil, err
	}
	closures := map[Name][]records.Stamp{}
	services := make([]Service, 0, len(rows))
	for _, r := range rows {
		closed, ok := closures[r.environment]
		if !ok {
			if closed, err = closuresOf(ctx, ledger, r.environment); err != nil {
				return nil, err
			}
			closures[r.environment] = closed
		}
		if s, ok := service(r.entries, closed); ok {
			s.Service, s.Environment = r.service, r.environment
			services = append(services, s)
		}
	}
	sort.SliceStable(services, func(i, j int) bool {
		a, b := services[i], services[j]
		if a.Environment != b.Environment {
			return less(a.Environment, b.Environment)
		}
		return less(a.Service, b.Service)
	})
	return services, nil
}

func less(a, b Name) bool { return a.ID < b.ID || a.ID == b.ID && a.Source < b.Source }

// closuresOf tells when an environment was deleted.
func closuresOf(ctx context.Context, ledger Reader, environment Name) ([]records.Stamp, error) {
	q := records.Query{Kind: records.SubjectFact, Key: key("environment", environment.Source, environment.ID)}
	answers, err := ledger.Read(ctx, []records.Query{q})
	if err != nil {
		return nil, err
	}
	if len(answers) != 1 {
		return nil, errors.New("the ledger did not answer")
	}
	subject, err := records.DecodeSubject(answers[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("the ledger's environment %s: %w", q.Key, err)
	}
	return subject.Closures, nil
}

// service plays a history and the deletions of its environment through.
func service(entries []records.Entry, closed []records.Stamp) (Service, bool) {
	var s Service
	running := false
	end := func(at records.Stamp, what string) {
		e := Event{Time: utc(at.Time), What: what, EventID: at.ID}
		if running {
			e.Artifact, e.Version = s.Artifact, s.Version
		}
		s.History = append(s.History, e)
		s.Since, s.EventID, s.Status = e.Time, e.EventID, Removed
		running = false
	}
	next := 0
	upTo := func(at *records.Stamp) {
		for next < len(closed) && (at == nil || closed[next].Before(*at)) {
			// What did not run then is not concerned.
			if running {
				end(closed[next], EnvironmentClosed)
			}
			next++
		}
	}
	for _, e := range entries {
		upTo(&e.Stamp)
		if e.Removed {
			end(e.Stamp, Removal)
			continue
		}
		s.Artifact, s.Version = e.Artifact, versionOf(e.Artifact)
		s.Since, s.EventID, s.Status = utc(e.Time), e.ID, Running
		running = true
		what := Deployment
		if e.Predicate != "" {
			what = e.Predicate
		}
		s.History = append(s.History, Event{Time: s.Since, What: what, Artifact: s.Artifact, Version: s.Version, EventID: e.ID})
	}
	upTo(nil)
	return s, len(s.History) > 0
}

func utc(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func versionOf(purl string) string {
	p, err := packageurl.FromString(purl)
	if err != nil {
		return ""
	}
	return p.Version
}

// key writes a ledger key: a compact JSON array with no escapes but those that JSON demands.
func key(parts ...string) string {
	b := []byte{'['}
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(b, p)
	}
	return string(append(b, ']'))
}
