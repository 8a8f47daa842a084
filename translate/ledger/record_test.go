package ledger_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// A format is how a record is written, told a second time: a message of record.proto made of the record's fields.
type format struct {
	message string // of record.proto
	kinds   []ledger.FactKind
	draw    func(d *draws) any
	encode  func(record any) []byte
	decode  func(b []byte) (any, error)
	build   func(p *protocol, record any) proto.Message
}

// fields are the values of a message by the names of its fields: texts, ids, numbers, flags, messages and lists of them.
// What is nil or its type's zero value is left out.
type fields map[string]any

// id is a text that is written as an id.
type id string

func (i id) bytes() []byte {
	if i == "" {
		return nil
	}
	raw := make([]byte, 0, 17)
	if n, err := fmt.Sscanf(strings.ReplaceAll(string(i), "-", ""), "%x", &raw); n == 1 && err == nil && len(raw) == 16 {
		if fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]) == string(i) {
			return append([]byte{'u'}, raw...)
		}
	}
	return append([]byte{'t'}, i...)
}

// eiffelType is an Eiffel event type as records have it.
func eiffelType(t string) string {
	if t == "" {
		return ""
	}
	if short, ok := strings.CutPrefix(t, "Eiffel"); ok {
		if short, ok := strings.CutSuffix(short, "Event"); ok && short != "" {
			return short
		}
	}
	return "=" + t
}

type protocol struct {
	file protoreflect.FileDescriptor
	seen map[protoreflect.FullName]bool // fields that had a value
}

func readProtocol(t *testing.T) *protocol {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{}}
	files, err := compiler.Compile(context.Background(), "record.proto")
	if err != nil {
		t.Fatal(err)
	}
	return &protocol{files[0], map[protoreflect.FullName]bool{}}
}

func (p *protocol) descriptor(name string) protoreflect.MessageDescriptor {
	messages := p.file.Messages()
	var d protoreflect.MessageDescriptor
	for part := range strings.SplitSeq(name, ".") {
		d = messages.ByName(protoreflect.Name(part))
		messages = d.Messages()
	}
	return d
}

// message makes a message of that name.
func (p *protocol) message(name string, values fields) proto.Message {
	m := dynamicpb.NewMessage(p.descriptor(name))
	for field, value := range values {
		f := m.Descriptor().Fields().ByName(protoreflect.Name(field))
		set := func(v any) (protoreflect.Value, bool) {
			switch v := v.(type) {
			case id:
				return protoreflect.ValueOfBytes(v.bytes()), v != ""
			case string:
				return protoreflect.ValueOfString(v), v != ""
			case bool:
				return protoreflect.ValueOfBool(v), v
			case int64:
				return protoreflect.ValueOfInt64(v), v != 0
			case uint64:
				return protoreflect.ValueOfUint64(v), v != 0
			case proto.Message:
				return protoreflect.ValueOfMessage(v.ProtoReflect()), true
			}
			return protoreflect.Value{}, false
		}
		if list, ok := value.([]any); ok {
			for _, v := range list {
				one, _ := set(v)
				m.Mutable(f).List().Append(one)
				p.seen[f.FullName()] = true
			}
		} else if v, given := set(value); given {
			m.Set(f, v)
			p.seen[f.FullName()] = true
		}
	}
	return m
}

func (p *protocol) subjectKey(k ledger.SubjectKey) any {
	if k == (ledger.SubjectKey{}) {
		return nil
	}
	return p.message("SubjectKey", fields{"kind": k.Kind, "source": id(k.Source), "id": id(k.ID)})
}

func (p *protocol) stamp(s ledger.Stamp) any {
	if s == (ledger.Stamp{}) {
		return nil
	}
	return p.message("Stamp", fields{"time": s.Time, "id": id(s.ID)})
}

func (p *protocol) entry(e *ledger.Entry) proto.Message {
	return p.message("Entry", fields{"removed": e.Removed, "artifact": e.Artifact, "key": e.Key, "config": id(e.Config), "predicate": e.Predicate})
}

func list[E any](elements []E, f func(E) any) []any {
	var out []any
	for _, e := range elements {
		out = append(out, f(e))
	}
	return out
}

// draws draws the values of records: what is empty, what is short, what is odd.
type draws struct{ *rapid.T }

func (d *draws) text() string {
	return rapid.SampledFrom([]string{"", "a", "b", "é\x00", strings.Repeat("long", 50)}).Draw(d.T, "text")
}

func (d *draws) some() string {
	return rapid.SampledFrom([]string{"a", "b", "é\x00", strings.Repeat("long", 50)}).Draw(d.T, "text")
}

func (d *draws) someID() string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"t", "u", "text", "00000000-0000-4000-8000-00000000000G", "AAAAAAAA-0000-4000-8000-000000000000", "-----------------------------------"}),
		rapid.Custom(func(t *rapid.T) string {
			b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid")
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		})).Draw(d.T, "id")
}

func (d *draws) id() string {
	if d.flag() {
		return ""
	}
	return d.someID()
}

func (d *draws) eiffelType() string {
	return rapid.SampledFrom([]string{"EiffelArtifactCreatedEvent", "EiffelEvent", "EiffelXEvent", "=", "x", "dev.acme"}).Draw(d.T, "type")
}

func (d *draws) flag() bool { return rapid.Bool().Draw(d.T, "flag") }

func (d *draws) time() int64 { return rapid.Int64().Draw(d.T, "time") }

func (d *draws) number() uint64 { return rapid.Uint64().Draw(d.T, "number") }

func (d *draws) key() ledger.SubjectKey {
	return ledger.SubjectKey{Kind: d.text(), Source: d.id(), ID: d.id()}
}

func (d *draws) stamp() ledger.Stamp { return ledger.Stamp{Time: d.time(), ID: d.someID()} }

func several[E any](d *draws, f func() E) []E {
	var out []E
	for range rapid.IntRange(0, 3).Draw(d.T, "how many") {
		out = append(out, f())
	}
	return out
}

func formats() []format {
	return []format{
		{"Subject", []ledger.FactKind{ledger.SubjectFact},
			func(d *draws) any {
				s := &ledger.Subject{Text: d.text(), Environments: several(d, d.key), Closures: several(d, d.stamp)}
				if d.flag() {
					s.Opened = d.stamp()
				}
				s.Anchors = several(d, func() ledger.Anchor {
					a := ledger.Anchor{Type: d.eiffelType(), First: d.someID(), Synthesized: d.flag(), From: d.id()}
					if a.Last = a.First; d.flag() {
						a.Last = d.someID()
					}
					return a
				})
				return s
			},
			func(r any) []byte { return r.(*ledger.Subject).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeSubject(b) },
			func(p *protocol, r any) proto.Message {
				s := r.(*ledger.Subject)
				key := func(k ledger.SubjectKey) any {
					return p.message("SubjectKey", fields{"kind": k.Kind, "source": id(k.Source), "id": id(k.ID)})
				}
				return p.message("Subject", fields{
					"opened": p.stamp(s.Opened), "text": s.Text, "closures": list(s.Closures, p.stamp), "environments": list(s.Environments, key),
					"anchors": list(s.Anchors, func(a ledger.Anchor) any {
						f := fields{"type": eiffelType(a.Type), "first": id(a.First), "synthesized": a.Synthesized, "from": id(a.From)}
						if a.Last != a.First {
							f["last"] = id(a.Last)
						}
						return p.message("Subject.Anchor", f)
					}),
				})
			}},
		{"EiffelEvent", []ledger.FactKind{ledger.EventFact},
			func(d *draws) any {
				e := &ledger.EiffelEvent{Time: d.time(), Subject: d.key(), Environment: d.key(), Artifact: d.text(), Chain: d.id(), Name: d.text(),
					ContextID: d.id(), Emitted: d.flag(), Synthesized: d.flag()}
				if d.flag() {
					e.Type = d.eiffelType()
				}
				e.Links = several(d, func() ledger.EiffelLink {
					return ledger.EiffelLink{Type: d.text(), Target: d.id(), DomainID: d.text()}
				})
				return e
			},
			func(r any) []byte { return r.(*ledger.EiffelEvent).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeEiffelEvent(b) },
			func(p *protocol, r any) proto.Message {
				e := r.(*ledger.EiffelEvent)
				return p.message("EiffelEvent", fields{
					"type": eiffelType(e.Type), "time": e.Time, "subject": p.subjectKey(e.Subject), "environment": p.subjectKey(e.Environment),
					"artifact": e.Artifact, "chain": id(e.Chain), "context_id": id(e.ContextID), "emitted": e.Emitted,
					"synthesized": e.Synthesized, "name": e.Name,
					"links": list(e.Links, func(l ledger.EiffelLink) any {
						return p.message("EiffelEvent.Link", fields{"type": l.Type, "target": id(l.Target), "domain_id": l.DomainID})
					}),
				})
			}},
		{"Contexts", []ledger.FactKind{ledger.ContextFact},
			func(d *draws) any {
				return ledger.Contexts(several(d, func() ledger.Context {
					return ledger.Context{Source: d.text(), Type: d.text(), Eiffel: d.id(), Emitted: d.flag()}
				}))
			},
			func(r any) []byte { return r.(ledger.Contexts).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeContexts(b) },
			func(p *protocol, r any) proto.Message {
				return p.message("Contexts", fields{"contexts": list(r.(ledger.Contexts), func(c ledger.Context) any {
					return p.message("Contexts.Context", fields{"source": c.Source, "type": c.Type, "eiffel": id(c.Eiffel), "emitted": c.Emitted})
				})})
			}},
		{"Decision", []ledger.FactKind{ledger.DecisionFact},
			func(d *draws) any {
				return ledger.Decision(several(d, func() ledger.Choice { return ledger.Choice{Name: d.text(), Value: d.id()} }))
			},
			func(r any) []byte { return r.(ledger.Decision).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeDecision(b) },
			func(p *protocol, r any) proto.Message {
				return p.message("Decision", fields{"choices": list(r.(ledger.Decision), func(c ledger.Choice) any {
					return p.message("Decision.Choice", fields{"name": c.Name, "value": id(c.Value)})
				})})
			}},
		{"Entry", []ledger.FactKind{ledger.EntryFact},
			func(d *draws) any {
				return &ledger.Entry{Removed: d.flag(), Artifact: d.text(), Key: d.text(), Config: d.id(), Predicate: d.text()}
			},
			func(r any) []byte { return r.(*ledger.Entry).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeEntry(ledger.Stamp{}, b) },
			func(p *protocol, r any) proto.Message { return p.entry(r.(*ledger.Entry)) }},
		{"Head", []ledger.FactKind{ledger.LineFact},
			func(d *draws) any {
				return &ledger.Head{Entries: d.number(), Epoch: d.number(), Last: ledger.Entry{Stamp: d.stamp(), Removed: d.flag(), Artifact: d.text()}}
			},
			func(r any) []byte { return r.(*ledger.Head).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeHead(b) },
			func(p *protocol, r any) proto.Message {
				h := r.(*ledger.Head)
				return p.message("Head", fields{"entries": h.Entries, "epoch": h.Epoch, "stamp": p.stamp(h.Last.Stamp), "last": p.entry(&h.Last)})
			}},
		{"Stamp", []ledger.FactKind{ledger.FirstRunFact},
			func(d *draws) any { return d.stamp() },
			func(r any) []byte { return r.(ledger.Stamp).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeStamp(b) },
			func(p *protocol, r any) proto.Message { return p.stamp(r.(ledger.Stamp)).(proto.Message) }},
		{"Line", nil,
			func(d *draws) any {
				l := &ledger.Line{}
				l.Entries = several(d, func() ledger.Entry {
					return ledger.Entry{Stamp: d.stamp(), Removed: d.flag(), Artifact: d.text(), Key: d.text(), Config: d.id(), Predicate: d.text()}
				})
				l.FirstRuns = several(d, func() ledger.FirstRun { return ledger.FirstRun{Artifact: d.some(), Stamp: d.stamp()} })
				return l
			},
			func(r any) []byte { return r.(*ledger.Line).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeLine(b) },
			func(p *protocol, r any) proto.Message {
				l := r.(*ledger.Line)
				var table []any
				place := func(text string) uint64 {
					for i, known := range table {
						if known == text {
							return uint64(i + 1)
						}
					}
					if text == "" {
						return 0
					}
					table = append(table, text)
					return uint64(len(table))
				}
				entries := list(l.Entries, func(e ledger.Entry) any {
					artifact := place(e.Artifact)
					return p.message("Line.Entry", fields{"time": e.Time, "id": id(e.ID), "removed": e.Removed, "artifact": artifact,
						"config": id(e.Config), "key": place(e.Key), "predicate": e.Predicate})
				})
				firstRuns := list(l.FirstRuns, func(r ledger.FirstRun) any {
					return p.message("Line.FirstRun", fields{"time": r.Time, "id": id(r.ID), "artifact": place(r.Artifact)})
				})
				return p.message("Line", fields{"artifacts": table, "entries": entries, "first_runs": firstRuns})
			}},
		{"Set", []ledger.FactKind{ledger.NameFact, ledger.AliasFact, ledger.PackageFact, ledger.ServiceFact, ledger.RunsFact},
			func(d *draws) any { return ledger.Set(several(d, d.text)) },
			func(r any) []byte { return r.(ledger.Set).Encode() },
			func(b []byte) (any, error) { return ledger.DecodeSet(b) },
			func(p *protocol, r any) proto.Message {
				return p.message("Set", fields{"members": list(r.(ledger.Set), func(s string) any { return s })})
			}},
	}
}

// TestRecordsAreAsWrittenDown holds the codecs to record.proto, both ways, with every field of every message.
func TestRecordsAreAsWrittenDown(t *testing.T) {
	p := readProtocol(t)
	kinds := map[ledger.FactKind]bool{}
	for _, f := range formats() {
		for _, k := range f.kinds {
			kinds[k] = true
		}
		t.Run(f.message, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				record := f.draw(&draws{t})
				want := f.build(p, record)
				got := dynamicpb.NewMessage(p.descriptor(f.message))
				text := f.encode(record)
				if err := proto.Unmarshal(text, got); err != nil {
					t.Fatalf("%+v was written as %x: %v", record, text, err)
				}
				if !proto.Equal(got, want) {
					t.Fatalf("%+v was written as\n%v, want\n%v", record, got, want)
				}
				text, err := proto.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				if back, err := f.decode(text); err != nil || !reflect.DeepEqual(back, record) {
					t.Fatalf("%v was read as\n%+v (%v), want\n%+v", want, back, err, record)
				}
			})
		})
	}
	for _, k := range ledger.FactKinds() {
		if !kinds[k] {
			t.Errorf("no message holds the records of kind %s", k)
		}
	}
	var every func(messages protoreflect.MessageDescriptors)
	every = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			m := messages.Get(i)
			for j := range m.Fields().Len() {
				if name := m.Fields().Get(j).FullName(); !p.seen[name] {
					t.Errorf("no record had a value of %s", name)
				}
			}
			every(m.Messages())
		}
	}
	every(p.file.Messages())
}

// TestLaterRecords: a record of a later version, which has fields that this one does not know, is read without them.
func TestLaterRecords(t *testing.T) {
	for _, f := range formats() {
		rapid.Check(t, func(t *rapid.T) {
			record := f.draw(&draws{t})
			text := append(f.encode(record), 0x9a, 0x06, 1, 'x', 0xa0, 0x06, 7) // fields 99 and 100
			if back, err := f.decode(text); err != nil || !reflect.DeepEqual(back, record) {
				t.Fatalf("%s: read as\n%+v (%v), want\n%+v", f.message, back, err, record)
			}
		})
	}
}
