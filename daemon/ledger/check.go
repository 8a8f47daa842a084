package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Finding is something that is not right in a ledger.
type Finding struct {
	Kind    records.FactKind
	Key     string // empty if it concerns the kind as a whole
	Problem string
}

// String is the finding for people.
func (f Finding) String() string { return fmt.Sprintf("%s %s: %s", f.Kind, f.Key, f.Problem) }

// maxFindings bounds what a check gives back; a ledger with more is beyond mending one by one.
const maxFindings = 1000

// Check reads the whole ledger and compares its records with each other. It changes nothing. It gives at most 1000
// findings, and stops there; an error says that the check itself could not go on. Events that the retention removed
// are not missed.
func Check(ctx context.Context, s Store) ([]Finding, error) {
	c := checker{ctx: ctx, store: s}
	for _, kind := range records.FactKinds() {
		err := s.Scan(ctx, kind, func(key string, record []byte) error {
			q := records.Query{Kind: kind, Key: key}
			problems := checkRecord(q, record)
			for _, p := range problems {
				c.found(q, "%s", p)
			}
			if len(problems) == 0 {
				if err := c.compare(q, record); err != nil {
					return err
				}
			}
			if len(c.findings) >= maxFindings {
				return errEnough
			}
			return nil
		})
		switch {
		case errors.Is(err, errEnough):
			return c.findings, nil
		case errors.Is(err, ErrDamaged):
			// The other kinds may be in files that can be read.
			c.found(records.Query{Kind: kind}, "cannot be read to the end: %v", err)
		case err != nil:
			return c.findings, fmt.Errorf("check ledger: %w", err)
		}
	}
	return c.findings, nil
}

// checkRecord checks what a record says by itself.
func checkRecord(q records.Query, record []byte) (problems []string) {
	found := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	c, err := codecOf(q.Kind)
	if err != nil {
		return []string{err.Error()}
	}
	parts, ok := records.ParseKey(q.Key)
	if !ok || joinKey(parts...) != q.Key {
		return []string{"the key is no compact JSON array of strings"}
	}
	if len(parts) != c.parts {
		return []string{fmt.Sprintf("the key has %d parts in place of %d", len(parts), c.parts)}
	}
	switch q.Kind {
	case records.SubjectFact:
		s, err := records.DecodeSubject(record)
		if err != nil {
			return []string{err.Error()}
		}
		for i, a := range s.Anchors {
			if a.First == "" || a.Last == "" || a.Type == "" {
				found("anchor %d has no type or no id", i)
			}
			if s.Anchor(a.Type) != &s.Anchors[i] {
				found("there are two anchors of type %s", a.Type)
			}
		}
		for i := 1; i < len(s.Closures); i++ {
			if !s.Closures[i-1].Before(s.Closures[i]) {
				found("closure %d is out of order", i)
			}
		}
	case records.LineFact:
		h, err := records.DecodeHead(record)
		if err != nil {
			return []string{err.Error()}
		}
		if h.Entries == 0 || h.Entries > records.LineMost {
			found("it has %d entries; one to %d are right", h.Entries, records.LineMost)
		}
		checkEntry(&h.Last, found)
	case records.EntryFact:
		s, ok := records.ParseStamp(parts[4])
		if !ok {
			return []string{"the last part of the key is no time and id"}
		}
		e, err := records.DecodeEntry(s, record)
		if err != nil {
			return []string{err.Error()}
		}
		checkEntry(e, found)
	case records.NameFact, records.AliasFact, records.PackageFact, records.ServiceFact, records.RunsFact:
		set, err := records.DecodeSet(record)
		if err != nil {
			return []string{err.Error()}
		}
		if len(set) == 0 || len(set) > records.SetSize(q.Kind) || q.Kind == records.AliasFact && len(set) != 1 {
			found("it has %d members", len(set))
		}
		for i, m := range set {
			if slices.Contains(set[:i], m) {
				found("%q is there twice", m)
			}
			if q.Kind == records.PackageFact || q.Kind == records.RunsFact {
				if k, ok := records.ParseKey(m); !ok || len(k) != 2 {
					found("%q is no key of a service", m)
				}
			}
		}
	default:
		if _, err := c.toJSON(q.Key, record); err != nil {
			found("%v", err)
		}
	}
	return problems
}

func checkEntry(e *records.Entry, found func(format string, args ...any)) {
	if e.ID == "" {
		found("an entry has no id")
	}
	if !e.Removed && e.Artifact == "" {
		found("an entry is a deployment without an artifact")
	}
}

type checker struct {
	ctx      context.Context
	store    Store
	findings []Finding
}

func (c *checker) found(q records.Query, format string, args ...any) {
	c.findings = append(c.findings, Finding{q.Kind, q.Key, fmt.Sprintf(format, args...)})
}

func (c *checker) read(kind records.FactKind, parts ...string) ([]byte, error) {
	answers, err := c.store.Read(c.ctx, []records.Query{{Kind: kind, Key: joinKey(parts...)}})
	if err != nil {
		return nil, err
	}
	return answers[0].Bytes, nil
}

// wantMember notes when a set does not have a member that it should; a full set may lack it.
func (c *checker) wantMember(q records.Query, member string, kind records.FactKind, parts ...string) error {
	record, err := c.read(kind, parts...)
	if err != nil {
		return err
	}
	set, err := records.DecodeSet(record)
	if err == nil && !slices.Contains(set, member) && len(set) < records.SetSize(kind) {
		c.found(q, "%s %s does not name %q", kind, joinKey(parts...), member)
	}
	return nil // a set that cannot be decoded is a finding of its own
}

// wantRecord notes when there is no such record.
func (c *checker) wantRecord(q records.Query, kind records.FactKind, parts ...string) error {
	record, err := c.read(kind, parts...)
	if err == nil && record == nil {
		c.found(q, "%s %s is missing", kind, joinKey(parts...))
	}
	return err
}

// compare checks a sound record against those that it stands with.
func (c *checker) compare(q records.Query, record []byte) error {
	parts, _ := records.ParseKey(q.Key)
	switch q.Kind {
	case records.SubjectFact:
		return c.compareSubject(q, parts, record)
	case records.NameFact, records.AliasFact:
		set, err := records.DecodeSet(record)
		if err != nil {
			return nil
		}
		for _, source := range set {
			if err := c.wantRecord(q, records.SubjectFact, parts[0], source, parts[len(parts)-1]); err != nil {
				return err
			}
		}
	case records.LineFact:
		if err := c.compareHead(q, record); err != nil {
			return err
		}
		service, environment := parts[:2], parts[2:]
		known, err := c.read(records.SubjectFact, "service", service[0], service[1])
		if err != nil {
			return err
		}
		if s, err := records.DecodeSubject(known); err == nil && !names(s, environment) {
			c.found(q, "the subject of the service does not name the environment")
		}
		if err := c.wantMember(q, joinKey(service...), records.RunsFact, environment...); err != nil {
			return err
		}
		return c.wantMember(q, service[0], records.ServiceFact, environment[0], environment[1], service[1])
	case records.EntryFact, records.FirstRunFact:
		return c.wantRecord(q, records.LineFact, parts[:4]...)
	case records.PackageFact, records.ServiceFact, records.RunsFact:
		set, err := records.DecodeSet(record)
		if err != nil {
			return nil
		}
		for _, member := range set {
			service, _ := records.ParseKey(member)
			if q.Kind == records.ServiceFact {
				service = []string{member, parts[2]}
			}
			if err := c.wantRecord(q, records.LineFact, service[0], service[1], parts[0], parts[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareHead checks a head against the entries.
func (c *checker) compareHead(q records.Query, record []byte) error {
	h, err := records.DecodeHead(record)
	if err != nil {
		return nil
	}
	var failed error
	history, err := records.OpenLine(func(q records.Query) []byte {
		answers, err := c.store.Read(c.ctx, []records.Query{q})
		if err != nil {
			failed = err
			return nil
		}
		return answers[0].Bytes
	}, q.Key)
	if err != nil || failed != nil {
		return failed
	}
	entries := history.Whole().Entries
	switch {
	case failed != nil:
		return failed
	case uint64(len(entries)) != h.Entries:
		c.found(q, "it says that there are %d entries, and there are %d", h.Entries, len(entries))
	case len(entries) > 0 && entries[len(entries)-1] != h.Last:
		c.found(q, "its last entry is not the last one")
	}
	return nil
}

func names(s *records.Subject, environment []string) bool {
	return slices.ContainsFunc(s.Environments, func(k records.SubjectKey) bool {
		return k.Source == environment[0] && k.ID == environment[1]
	})
}

func (c *checker) compareSubject(q records.Query, parts []string, record []byte) error {
	s, err := records.DecodeSubject(record)
	if err != nil {
		return nil
	}
	for _, a := range s.Anchors {
		for _, id := range slices.Compact([]string{a.First, a.Last}) {
			known, err := c.read(records.EventFact, id)
			if err != nil {
				return err
			}
			if e, err := records.DecodeEiffelEvent(known); err == nil && e.Type != "" && e.Type != a.Type {
				c.found(q, "its anchor %s is an %s and not an %s", id, e.Type, a.Type)
			}
		}
	}
	// A test, too, has the environment that it ran in.
	lives := parts[0] == "service" && len(s.Environments) > 0
	if lives {
		for _, e := range s.Environments {
			if err := c.wantRecord(q, records.LineFact, parts[1], parts[2], e.Source, e.ID); err != nil {
				return err
			}
		}
	}
	// A subject of which only what happened to it later is known has no name yet.
	begun := lives || s.Opened != records.Stamp{} || slices.ContainsFunc(s.Anchors, func(a records.Anchor) bool { return a.Synthesized })
	if begun && records.ReferredTo(parts[0]) {
		return c.wantMember(q, parts[1], records.NameFact, parts[0], parts[2])
	}
	return nil
}
