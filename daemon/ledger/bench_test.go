package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func query(kind ledger.FactKind, parts ...string) ledger.Query {
	return ledger.Query{Kind: kind, Key: `["` + strings.Join(parts, `","`) + `"]`}
}

func randomID(r *rand.Rand) string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xfff, r.Uint32()&0xfff, r.Uint64()&(1<<48-1))
}

const benchSource = "https://ci.example.com/team"

// learned is what a relay learns from one event about one of the subjects: two new records, two that exist.
func learned(r *rand.Rand, subjects int) []ledger.Fact {
	id := randomID(r)
	subject := ledger.SubjectKey{Kind: "service", Source: benchSource, ID: fmt.Sprintf("service-%06d", r.IntN(subjects))}
	stamp := ledger.Stamp{Time: 1700000000000 + r.Int64N(1e9), ID: id}
	event := ledger.EiffelEvent{Type: "EiffelArtifactDeployedEvent", Time: stamp.Time, Subject: subject, Emitted: true,
		Environment: ledger.SubjectKey{Kind: "environment", Source: benchSource, ID: "production"},
		Artifact:    "pkg:oci/myapp@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"}
	known := ledger.Subject{Opened: stamp, Anchors: []ledger.Anchor{{Type: event.Type, First: id, Last: id}}}
	return []ledger.Fact{
		{Query: query(ledger.EventFact, id), Record: event.Encode()},
		{Query: query(ledger.ContextFact, id), Record: ledger.Contexts{{Source: benchSource, Type: "dev.cdevents.service.deployed.0.2.0", Emitted: true}}.Encode()},
		{Query: query(ledger.SubjectFact, "service", subject.Source, subject.ID), Record: known.Encode()},
		{Query: query(ledger.NameFact, "service", subject.ID), Record: ledger.Set{subject.Source}.Encode()},
	}
}

// BenchmarkCommit has the relay's load: an operation is one event of four facts.
func BenchmarkCommit(b *testing.B) {
	for _, load := range []struct{ committers, events int }{{64, 4}, {64, 1}, {1, 256}} {
		b.Run(fmt.Sprintf("committers=%d/events=%d", load.committers, load.events), func(b *testing.B) {
			s, err := Open(filepath.Join(b.TempDir(), "ledger"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for i := range load.committers {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(i), uint64(load.events)))
					for left.Add(-int64(load.events)) > -int64(load.events) {
						var facts []ledger.Fact
						for range load.events {
							facts = append(facts, learned(r, 20000)...)
						}
						if err := s.Commit(context.Background(), Batch{Facts: facts}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRead asks for one busy subject and one unknown event, as a translation does.
func BenchmarkRead(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "ledger"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var facts []ledger.Fact
		for range 256 {
			facts = append(facts, learned(r, 20000)...)
		}
		if err := s.Apply(context.Background(), facts); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		_, err := s.Read(context.Background(), []ledger.Query{
			query(ledger.SubjectFact, "service", benchSource, fmt.Sprintf("service-%06d", r.IntN(20000))),
			query(ledger.EventFact, randomID(r)),
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens and closes a ledger as a command does.
func BenchmarkOpen(b *testing.B) {
	for _, events := range []int{0, 100} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "ledger")
			r := rand.New(rand.NewPCG(1, 2))
			for i := -1; i < b.N; i++ {
				if i == 0 {
					b.ResetTimer()
				}
				s, err := Open(path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				for range events {
					if i >= 0 {
						break
					}
					if err := s.Apply(context.Background(), learned(r, 20)); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSizes measures what is kept for a service: bytes of keys and records, and bytes on disk. It is run with
// -benchtime 1x.
func BenchmarkSizes(b *testing.B) {
	ctx := context.Background()
	for b.Loop() {
		engine, err := translate.New(translate.DefaultSettings())
		if err != nil {
			b.Fatal(err)
		}
		s, err := Open(filepath.Join(b.TempDir(), "ledger"), Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		session := translate.NewSession(engine, s)
		r := rand.New(rand.NewPCG(1, 2))
		const services = 1000
		event := func(typ, subject, content string, day int) {
			text := fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":"%s","source":"https://ci.example.com/deploy","type":"dev.cdevents.%s","timestamp":"2026-03-%02dT09:00:00Z"},"subject":{"id":"%s","content":{%s}}}`,
				randomID(r), typ, day, subject, content)
			if _, err := session.Translate(ctx, []byte(text)); err != nil {
				b.Fatal(err)
			}
		}
		deploy := func(typ string, day int) {
			for i := range services {
				event(typ, fmt.Sprintf("service-%05d", i), fmt.Sprintf(`"environment":{"id":"environment-%05d"},"artifactId":"pkg:oci/service-%05d@sha256%%3A%016x%016x%016x%016x"`,
					i, i, r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()), day)
			}
		}
		var lastKept, lastAged, lastDisk int64
		report := func(what string) {
			if err := s.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
				b.Fatal(err)
			}
			var kept, aged int64
			stats, err := s.Stats(ctx)
			if err != nil {
				b.Fatal(err)
			}
			for kind, c := range stats.Records {
				if ledger.Ages(kind) {
					aged += c.Bytes
				} else {
					kept += c.Bytes
				}
			}
			disk := int64(s.db.Metrics().Total().TablesSize)
			b.ReportMetric(float64(kept-lastKept)/services, what+"-kept-B")
			b.ReportMetric(float64(aged-lastAged)/services, what+"-30days-B")
			b.ReportMetric(float64(disk-lastDisk)/services, what+"-disk-B")
			lastKept, lastAged, lastDisk = kept, aged, disk
		}
		for i := range services {
			event("environment.created.0.3.0", fmt.Sprintf("environment-%05d", i), "", 1)
		}
		report("environment")
		deploy("service.deployed.0.3.0", 2)
		report("service")
		deploy("service.upgraded.0.3.0", 3)
		report("deployment")
	}
}
