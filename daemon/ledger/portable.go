package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// A dump is JSON lines: a header, then the records in the order of their kinds and keys, then what is parked.
//
//	{"format":"eiffelbridge-ledger","version":2}
//	{"kind":"subject","key":["service","https://ci","shop"],"value":{...}}
//	{"kind":"parked","key":"7f3...","record":"<base64>"}
//
// In version 1 a line has its whole history as its value; in version 2 there is a line of the dump for each entry and each
// first run.
const (
	dumpFormat  = "eiffelbridge-ledger"
	dumpVersion = 2
	parkedKind  = "parked"

	// maxDumpLine bounds a line, and so the memory that an import takes.
	maxDumpLine = 64 << 20
	// importBatch is how many lines are committed at once.
	importBatch = 512
)

// ErrNotEmpty says that a ledger has records, and a dump was not to be merged into them.
var ErrNotEmpty = errors.New("the ledger is not empty")

// ImportSettings say how a dump is imported.
type ImportSettings struct {
	Merge bool // unite the dump with what the ledger has; without it the ledger must be empty
}

type dumpHeader struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

type dumpLine struct {
	Kind   string         `json:"kind"`
	Key    jsontext.Value `json:"key"`
	Value  jsontext.Value `json:"value,omitzero"`
	Record []byte         `json:"record,omitempty"`
}

// dumpOptions are those of every value: members that the records leave out when they are empty stay out.
func dumpOptions() json.Options {
	return json.JoinOptions(jsonv1.OmitEmptyWithLegacySemantics(true), json.RejectUnknownMembers(true), json.Deterministic(true))
}

// codec turns the records of a kind into JSON and back.
type codec struct {
	parts    int // of a key
	toJSON   func(key string, record []byte) ([]byte, error)
	fromJSON func(parts []string, value []byte) (record []byte, err error)
}

func newCodec[T interface{ Encode() []byte }](parts int, decode func([]byte) (T, error)) codec {
	return codec{
		parts: parts,
		toJSON: func(_ string, record []byte) ([]byte, error) {
			v, err := decode(record)
			if err != nil {
				return nil, err
			}
			return json.Marshal(v, dumpOptions())
		},
		fromJSON: func(_ []string, value []byte) ([]byte, error) {
			var v T
			if err := readValue(value, &v); err != nil {
				return nil, err
			}
			return append([]byte{}, v.Encode()...), nil
		},
	}
}

func readValue(value []byte, v any) error {
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return errors.New("the value is neither an object nor an array")
	}
	return json.Unmarshal(value, v, dumpOptions())
}

// entryCodec writes the stamp of an entry, which its record does not repeat, so that people can read it.
func entryCodec() codec {
	stampOf := func(parts []string) (records.Stamp, error) {
		if s, ok := records.ParseStamp(parts[len(parts)-1]); ok {
			return s, nil
		}
		return records.Stamp{}, errors.New("the last part of the key is no time and id")
	}
	return codec{
		parts: 5,
		toJSON: func(key string, record []byte) ([]byte, error) {
			parts, ok := records.ParseKey(key)
			if !ok || len(parts) == 0 {
				return nil, errors.New("the key is no array of strings")
			}
			s, err := stampOf(parts)
			if err != nil {
				return nil, err
			}
			e, err := records.DecodeEntry(s, record)
			if err != nil {
				return nil, err
			}
			return json.Marshal(e, dumpOptions())
		},
		fromJSON: func(parts []string, value []byte) ([]byte, error) {
			var e records.Entry
			if err := readValue(value, &e); err != nil {
				return nil, err
			}
			if len(parts) > 0 {
				if s, err := stampOf(parts); err != nil {
					return nil, err
				} else if s != e.Stamp {
					return nil, errors.New("the time and id are not those of the key")
				}
			}
			return e.Encode(), nil
		},
	}
}

func codecOf(kind records.FactKind) (codec, error) {
	switch kind {
	case records.SubjectFact:
		return newCodec(3, records.DecodeSubject), nil
	case records.NameFact, records.RunsFact:
		return newCodec(2, records.DecodeSet), nil
	case records.AliasFact, records.PackageFact, records.ServiceFact:
		return newCodec(3, records.DecodeSet), nil
	case records.EventFact:
		return newCodec(1, records.DecodeEiffelEvent), nil
	case records.ContextFact:
		return newCodec(1, records.DecodeContexts), nil
	case records.DecisionFact:
		return newCodec(4, records.DecodeDecision), nil
	case records.LineFact:
		return newCodec(4, records.DecodeHead), nil
	case records.EntryFact:
		return entryCodec(), nil
	case records.FirstRunFact:
		return newCodec(5, records.DecodeStamp), nil
	}
	return codec{}, fmt.Errorf("unknown %s", kind)
}

// joinKey writes a key as the translation does: a compact JSON array with only the escapes that JSON demands.
func joinKey(parts ...string) string {
	b := []byte{'['}
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(b, p)
	}
	return string(append(b, ']'))
}

// Export writes the whole ledger as JSON lines. Equal ledgers give equal bytes. The days on which records were last
// written are not part of a dump: what is imported counts as written on that day.
func Export(ctx context.Context, s Store, w io.Writer) error {
	out := bufio.NewWriter(w)
	write := func(v any) error {
		line, err := json.Marshal(v, dumpOptions())
		if err != nil {
			return err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
		return nil
	}
	if err := write(dumpHeader{dumpFormat, dumpVersion}); err != nil {
		return fmt.Errorf("export ledger: %w", err)
	}
	for _, kind := range records.FactKinds() {
		c, err := codecOf(kind)
		if err != nil {
			return fmt.Errorf("export ledger: %w", err)
		}
		err = s.Scan(ctx, kind, func(key string, record []byte) error {
			value, err := c.toJSON(key, record)
			if err == nil {
				err = write(dumpLine{Kind: kind.String(), Key: jsontext.Value(key), Value: value})
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", kind, key, err)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("export ledger: %w", err)
		}
	}
	err := s.ScanParked(ctx, func(p Parked) error {
		key, err := jsontext.AppendQuote(nil, p.Key)
		if err == nil {
			err = write(dumpLine{Kind: parkedKind, Key: key, Record: p.Record})
		}
		if err != nil {
			return fmt.Errorf("parked %q: %w", p.Key, err)
		}
		return nil
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("export ledger: %w", err)
	}
	return nil
}

// Import reads what [Export] wrote. An error names the line at fault; some of the lines before it are in the ledger
// then, and importing the same dump again, mended and with Merge, completes it: merging twice is the same as once.
func Import(ctx context.Context, s Store, r io.Reader, settings ImportSettings) error {
	if err := importDump(ctx, s, r, settings); err != nil {
		return fmt.Errorf("import ledger: %w", err)
	}
	return nil
}

func importDump(ctx context.Context, s Store, r io.Reader, settings ImportSettings) error {
	kinds := make(map[string]records.FactKind)
	codecs := make(map[records.FactKind]codec)
	for _, kind := range records.FactKinds() {
		c, err := codecOf(kind)
		if err != nil {
			return err
		}
		kinds[kind.String()], codecs[kind] = kind, c
	}
	touched := map[string]struct{}{} // the lines of which the dump has something
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxDumpLine)
	number := 1
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return fmt.Errorf("line 1: %w", err)
		}
		return errors.New("line 1: the header is missing; this is no dump of a ledger")
	}
	version, err := readHeader(lines.Bytes())
	if err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	if version == 1 {
		codecs[records.LineFact] = newCodec(4, records.DecodeLine)
		delete(codecs, records.EntryFact)
		delete(codecs, records.FirstRunFact)
	}
	if !settings.Merge {
		if err := checkEmpty(ctx, s); err != nil {
			return err
		}
	}
	var b Batch
	for lines.Scan() {
		number++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		was := len(b.Facts)
		if err := readLine(lines.Bytes(), kinds, codecs, &b); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		for _, f := range b.Facts[was:] {
			if p, ok := f.Query.Parent(); ok {
				touched[p.Key] = struct{}{}
			}
		}
		if len(b.Facts)+len(b.Park) >= importBatch {
			if err := s.Commit(ctx, b); err != nil {
				return fmt.Errorf("up to line %d: %w", number, err)
			}
			b = Batch{}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	if err := s.Commit(ctx, b); err != nil {
		return fmt.Errorf("up to line %d: %w", number, err)
	}
	return recount(ctx, s, slices.Sorted(maps.Keys(touched)))
}

// recount sees to it that histories that were united with others are counted right and no longer than they may be.
func recount(ctx context.Context, s Store, lines []string) error {
	var b Batch
	var failed error
	read := func(q records.Query) []byte {
		answers, err := s.Read(ctx, []records.Query{q})
		if err != nil {
			failed = errors.Join(failed, err)
			return nil
		}
		return answers[0].Bytes
	}
	for _, key := range lines {
		h, err := records.OpenLine(read, key)
		if err == nil {
			b.Facts = h.Recount(b.Facts)
		}
		if err := errors.Join(failed, err); err != nil {
			return fmt.Errorf("count the entries of line %s: %w", key, err)
		}
		if len(b.Facts) >= importBatch {
			if err := s.Commit(ctx, b); err != nil {
				return err
			}
			b = Batch{}
		}
	}
	return s.Commit(ctx, b)
}

func readHeader(line []byte) (version int, err error) {
	var h dumpHeader
	// A later version may have more members, and is to be named as such.
	if err := json.Unmarshal(line, &h); err != nil || h.Format != dumpFormat {
		return 0, errors.New("the header is missing; this is no dump of a ledger")
	}
	if h.Version < 1 || h.Version > dumpVersion {
		return 0, fmt.Errorf("the dump has version %d, and this program knows versions up to %d", h.Version, dumpVersion)
	}
	return h.Version, nil
}

func readLine(text []byte, kinds map[string]records.FactKind, codecs map[records.FactKind]codec, b *Batch) error {
	var line dumpLine
	if err := json.Unmarshal(text, &line, dumpOptions()); err != nil {
		return err
	}
	if line.Kind == parkedKind {
		var p Parked
		if line.Value != nil {
			return errors.New("a parked event has a record and no value")
		}
		if err := json.Unmarshal(line.Key, &p.Key); err != nil {
			return fmt.Errorf("key: %w", err)
		}
		p.Record = append([]byte{}, line.Record...)
		one := Batch{Park: []Parked{p}}
		if err := one.check(); err != nil {
			return err
		}
		b.Park = append(b.Park, p)
		return nil
	}
	kind := kinds[line.Kind]
	c, ok := codecs[kind]
	if !ok {
		return fmt.Errorf("unknown kind %q", line.Kind)
	}
	if line.Record != nil {
		return errors.New("a " + line.Kind + " has a value and no record")
	}
	var parts []string
	if err := json.Unmarshal(line.Key, &parts); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	record, err := c.fromJSON(parts, line.Value)
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	q := records.Query{Kind: kind, Key: joinKey(parts...)}
	facts := []records.Fact{{Query: q, Record: record}}
	if kind == records.LineFact && records.IsLine(record) {
		line, err := records.DecodeLine(record)
		if err != nil {
			return fmt.Errorf("value: %w", err)
		}
		if problem := checkLine(line); problem != "" {
			return errors.New(problem)
		}
		facts = line.Facts(q.Key)
	}
	for _, f := range facts {
		if problems := checkRecord(f.Query, f.Record); len(problems) > 0 {
			return errors.New(problems[0])
		}
	}
	b.Facts = append(b.Facts, facts...)
	return nil
}

// checkLine checks the whole history that a dump of version 1 has in one record.
func checkLine(l *records.Line) (problem string) {
	for i := 1; i < len(l.Entries); i++ {
		if !l.Entries[i-1].Before(l.Entries[i].Stamp) {
			return fmt.Sprintf("entry %d is out of order", i)
		}
	}
	for i, r := range l.FirstRuns {
		if slices.ContainsFunc(l.FirstRuns[:i], func(o records.FirstRun) bool { return o.Artifact == r.Artifact }) {
			return fmt.Sprintf("the first run of %s is there twice", r.Artifact)
		}
	}
	return ""
}

func checkEmpty(ctx context.Context, s Store) error {
	for _, kind := range records.FactKinds() {
		err := s.Scan(ctx, kind, func(string, []byte) error { return ErrNotEmpty })
		if err != nil {
			return err
		}
	}
	return s.ScanParked(ctx, func(Parked) error { return ErrNotEmpty })
}
