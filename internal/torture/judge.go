//go:build unix

package torture

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/board"
	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/internal/accounting"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Result is a row of the table.
type Result struct {
	Cell      string
	Direction Direction
	Hit       string // the process and its number
	Evidence  string
	Failure   string // empty: the cell has passed
	None      string // why there is no such cell

	Accepted, Delivered, Duplicates, Parked, DeadLettered, Discarded, Lost, Compared int
	Before, During, After                                                            float64 // events per second
	LedgerRight                                                                      bool
	LedgerInPart                                                                     bool          // only what runs where was compared, of services that lost nothing
	Recovery, FullRate                                                               time.Duration // negative: it was at full rate
	RSS                                                                              int64         // bytes
	Goroutines, GoroutinesAfter                                                      int
	Took                                                                             time.Duration
}

// maxRSS is the most anonymous memory that the relay may take.
const maxRSS = 150 << 20

// settlePatience is how long nothing may come before what is missing is taken for lost.
const settlePatience = 45 * time.Second

// judge waits for the rest, ends the relay and holds everything against the model.
func (r *run) judge(ctx context.Context) error {
	var err error
	r.result.Accepted = r.load.tally().distinct()
	if r.model, err = r.newModel(ctx, nil); err != nil {
		return err
	}
	r.waitForAll(ctx)
	if err := r.discard(ctx); err != nil {
		return err
	}
	var findings []string
	bad := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }

	if err := r.waitForParked(ctx); err != nil {
		bad("%v", err)
	}
	r.result.Parked = r.parked
	if r.goroutines > 0 {
		r.goroutinesAfter = r.settledGoroutines(ctx, r.goroutines)
		if r.goroutinesAfter > r.goroutines {
			bad("%d goroutines at the start, %d in the end", r.goroutines, r.goroutinesAfter)
		}
	}
	if err := r.checkAccounting(ctx); err != nil {
		bad("counters: %v", err)
	}
	if err := r.relay.shutdown(ctx); err != nil {
		bad("%v", err)
	}
	r.compare(ctx, bad)
	if err := r.compareLedger(ctx, bad); err != nil {
		bad("ledger: %v", err)
	}
	if r.direction == ToCDEvents {
		n, err := depth(r.server.URL(), r.queue())
		if err != nil {
			bad("the relay's queue: %v", err)
		} else if n > 0 {
			bad("%d messages are left in the relay's queue", n)
		}
		if text := r.sink.malformed.Load(); text != nil {
			bad("the sink got what is no event: %.200s", *text)
		}
	}
	if r.verify != nil {
		if err := r.verify(ctx, r); err != nil {
			bad("%v", err)
		}
	}
	r.measure()
	if r.result.RSS > maxRSS {
		bad("%d MiB of anonymous memory", r.result.RSS>>20)
	}
	if r.fault != nil && len(r.evidence) == 0 {
		bad("nothing shows that the fault happened")
	}
	if len(findings) > 0 {
		if len(findings) > 12 {
			findings = append(findings[:12], fmt.Sprintf("and %d more", len(findings)-12))
		}
		return errors.New(strings.Join(findings, "; "))
	}
	return nil
}

func (r *run) newModel(ctx context.Context, skip func(*input) bool) (*model, error) {
	m, err := newModel(ctx, translate.Settings{}, r.workload, skip)
	if err != nil || r.alternative.Catalogue == nil {
		return m, err
	}
	other, err := newModel(ctx, r.alternative, r.workload, skip)
	if err != nil {
		return nil, err
	}
	for id, x := range m.outputs {
		if y := other.outputs[id]; y != nil {
			x.other = y.sum
		}
	}
	return m, nil
}

// waitForAll waits until everything has come, or nothing comes any more, and then for what should not come.
func (r *run) waitForAll(ctx context.Context) {
	count, at := 0, time.Now()
	for ctx.Err() == nil {
		if n := r.recorder.count(); n != count {
			count, at = n, time.Now()
		}
		patience := settlePatience
		if !r.queueDeleted.IsZero() {
			patience = 8 * time.Second // something is missing for sure
		}
		if count >= len(r.model.outputs) || time.Since(at) > patience {
			break
		}
		_ = sleep(ctx, 10*time.Millisecond)
	}
	_ = sleep(ctx, 300*time.Millisecond)
}

// discard finds out what a deleted queue took with it: what was sent before that and did not come. The model goes on without
// it: of what the relay never saw it knows nothing, and of what the relay published nothing more is expected.
func (r *run) discard(ctx context.Context) error {
	if r.queueDeleted.IsZero() {
		return nil
	}
	t := r.load.tally()
	lost := map[*input]bool{}
	for id, x := range r.model.outputs {
		t.mu.Lock()
		before := t.begun[x.of].Before(r.queueDeleted)
		t.mu.Unlock()
		if !before || r.recorder.has(id) {
			continue
		}
		lost[x.of] = true
		r.result.Discarded++
		if r.direction == ToEiffel {
			delete(r.model.outputs, id)
		}
	}
	if len(lost) == 0 {
		return fmt.Errorf("%w: the queue took nothing with it", errFault)
	}
	// The broker counts what is ready, and not what its consumer has not acknowledged: the prefetch.
	if r.result.Discarded > r.thrown+256 {
		return fmt.Errorf("%d events are missing, and the queue had %d messages", r.result.Discarded, r.thrown)
	}
	if r.direction == ToEiffel {
		return nil
	}
	// What refers to an event that the relay never saw waits for it, lets others pass, and names a placeholder.
	r.torn = map[*input]bool{}
	for _, u := range r.workload.units {
		if slices.ContainsFunc(u, func(in *input) bool { return lost[in] }) {
			for _, in := range u {
				r.torn[in] = true
			}
		}
	}
	m, err := r.newModel(ctx, func(in *input) bool { return lost[in] })
	r.model = m
	return err
}

// waitForParked waits until nothing is parked and nothing is in flight.
func (r *run) waitForParked(ctx context.Context) error {
	for began := time.Now(); ; {
		text, err := r.relay.get(ctx, "/metrics")
		if err != nil {
			return err
		}
		n, _ := metric(text, "eiffelbridge_parked")
		flight, _ := metric(text, "eiffelbridge_in_flight")
		r.parked = max(r.parked, int(n))
		if n == 0 && flight == 0 {
			return nil
		}
		if time.Since(began) > settlePatience || ctx.Err() != nil {
			return fmt.Errorf("%v events are parked and %v in flight in the end", n, flight)
		}
		_ = sleep(ctx, 50*time.Millisecond)
	}
}

// checkAccounting says what does not add up in the relay's counters. It gives the relay a moment to come to rest.
func (r *run) checkAccounting(ctx context.Context) error {
	for began := time.Now(); ; {
		text, err := r.relay.get(ctx, "/metrics")
		if err == nil {
			err = accounting.Check(bytes.NewReader(text))
		}
		if err == nil || ctx.Err() != nil || time.Since(began) > 10*time.Second {
			return err
		}
		_ = sleep(ctx, 100*time.Millisecond)
	}
}

// compare holds what came against what had to come.
func (r *run) compare(ctx context.Context, bad func(string, ...any)) {
	rec := r.recorder
	rec.mu.Lock()
	defer rec.mu.Unlock()
	t := r.load.tally()

	// Every event is accounted for by its sender.
	for _, u := range append([]unit{r.workload.first}, r.workload.units...) {
		for _, in := range u {
			if _, ok := t.at(in); !ok && !in.poison && r.model.refused[in] == "" {
				bad("%s was never accepted", in.event.ID)
			}
		}
	}
	for _, text := range t.refusals {
		bad("refused: %s", text)
	}
	letters, err := r.letters(ctx)
	if err != nil {
		bad("dead letters: %v", err)
	}
	r.result.DeadLettered = len(letters)
	missingLetters := 0
	for in, code := range r.model.refused {
		if letters[string(in.body)] == "" {
			missingLetters++
			if missingLetters < 4 {
				bad("refused with %s and not in the dead letters: %.80s", code, in.body)
			}
		}
		delete(letters, string(in.body))
	}
	r.result.Lost += missingLetters
	for body, code := range letters {
		bad("a dead letter that should not be (%s): %.120s", code, body)
	}

	places := map[string][2]int{} // by line: the latest place and its arrival
	order := make([]*expected, 0, len(r.model.outputs))
	lost, disordered := 0, 0
	for _, x := range r.model.outputs {
		a, ok := rec.ids[x.id]
		if !ok {
			lost++
			if lost < 6 {
				bad("lost: %s of %s %s", x.id, x.of.event.Type, x.of.event.ID)
			}
			continue
		}
		if a.sum != x.sum && a.sum != x.other && !r.torn[x.of] {
			bad("%s of %s %s has other bytes than the model", x.id, x.of.event.Type, x.of.event.ID)
		}
		r.result.Compared++
		if !r.torn[x.of] {
			order = append(order, x)
		}
	}
	slices.SortFunc(order, func(a, b *expected) int {
		return cmp.Or(strings.Compare(a.line, b.line), cmp.Compare(a.place, b.place))
	})
	for _, x := range order {
		now := rec.ids[x.id].place
		if last, ok := places[x.line]; ok && now < last[1] {
			disordered++
			if disordered < 4 {
				bad("%s of the subject %s came before what precedes it", x.id, x.line)
			}
		}
		places[x.line] = [2]int{x.place, now}
	}
	unknown := 0
	for id := range rec.ids {
		if r.model.outputs[id] == nil {
			unknown++
			if unknown < 4 {
				bad("%s came and is not of the model", id)
			}
		}
	}
	for _, id := range rec.differing {
		bad("%s came twice with different bytes", id)
	}
	r.result.Lost += lost
	r.result.Delivered = len(rec.ids)
	r.result.Duplicates = rec.duplicates
}

// writeDeliveries writes what was delivered, in its order, for whoever looks into a failure.
func (r *run) writeDeliveries() {
	if r.model == nil {
		return
	}
	r.recorder.mu.Lock()
	defer r.recorder.mu.Unlock()
	var b bytes.Buffer
	for _, at := range r.episodes {
		fmt.Fprintf(&b, "%s fault\n", at.Format("15:04:05.000"))
	}
	for _, d := range r.recorder.all {
		fmt.Fprintf(&b, "%s %s", d.at.Format("15:04:05.000"), d.id)
		if x := r.model.outputs[d.id]; x != nil {
			accepted, _ := r.load.tally().at(x.of)
			fmt.Fprintf(&b, " %s place %d of %s, accepted %s", x.of.event.Type, x.place, x.line, accepted.Format("15:04:05.000"))
		}
		b.WriteByte('\n')
	}
	_ = os.WriteFile(filepath.Join(r.dir, "deliveries"), b.Bytes(), 0o644)
}

// letters are the codes of the dead letters by their events.
func (r *run) letters(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	err := deadletters.ReadFile(r.config.letters).Scan(ctx, func(l deadletters.Letter) error {
		if out[string(l.Event)] != "" {
			return fmt.Errorf("%s is there twice", l.EventID)
		}
		out[string(l.Event)] = l.Code
		return nil
	})
	return out, err
}

// compareLedger checks the ledger and holds it against the model's, record for record.
func (r *run) compareLedger(ctx context.Context, bad func(string, ...any)) error {
	if out, err := r.relay.command(ctx, "ledger", "check", "--ledger", r.config.ledger); err != nil {
		return fmt.Errorf("check: %.1000s: %.300s", err.Error(), out)
	}
	store, err := ledger.Open(r.config.ledger, ledger.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	parked := 0
	if err := store.ScanParked(ctx, func(ledger.Parked) error { parked++; return nil }); err != nil {
		return err
	}
	if parked > 0 {
		bad("%d events are parked in the ledger", parked)
	}
	got, err := board.Board(ctx, store)
	if err != nil {
		return err
	}
	want, err := board.Board(ctx, r.model.ledger)
	if err != nil {
		return err
	}
	if r.torn != nil {
		// An event that waits for what will never come lets others pass: such lines are theirs alone.
		apart := map[string]bool{}
		for in := range r.torn {
			for _, x := range r.model.of[in] {
				apart[x.line] = true
			}
		}
		whole := func(list []board.Service) []board.Service {
			return slices.DeleteFunc(list, func(s board.Service) bool { return apart[s.Service.Source+" "+s.Service.ID] })
		}
		got, want = whole(got), whole(want)
	}
	if !reflect.DeepEqual(got, want) {
		bad("what runs where is not as the events say: %s", firstDifference(got, want))
		return nil
	}
	if r.torn != nil {
		r.result.LedgerRight, r.result.LedgerInPart = true, true
		return nil
	}
	// The command tells the same.
	text, err := r.relay.command(ctx, "services", "--ledger", r.config.ledger, "--format", "json")
	if err != nil {
		return err
	}
	var told struct{ Services []json.RawMessage }
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		return err
	}
	if len(told.Services) != len(want) {
		bad("`services` tells of %d services, the model of %d", len(told.Services), len(want))
	}
	differ := 0
	for _, kind := range records.FactKinds() {
		a, err := recordsOf(ctx, store, kind)
		if err != nil {
			return err
		}
		b, err := recordsOf(ctx, r.model.ledger, kind)
		if err != nil {
			return err
		}
		for key, record := range a {
			if !sameRecord(kind, record, b[key]) {
				differ++
				if differ < 4 {
					bad("the ledger's %v %s is\n%q, the model's\n%q", kind, key, record, b[key])
				}
			}
		}
		for key := range b {
			if _, ok := a[key]; !ok {
				differ++
				if differ < 4 {
					bad("the ledger lacks %v %s", kind, key)
				}
			}
		}
	}
	r.result.LedgerRight = differ == 0
	if differ > 0 {
		bad("%d records of the ledger differ", differ)
	}
	return nil
}

func firstDifference(got, want []board.Service) string {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
			var a, b any = "nothing", "nothing"
			if i < len(got) {
				a = got[i]
			}
			if i < len(want) {
				b = want[i]
			}
			return fmt.Sprintf("%.600s, not %.600s", fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b))
		}
	}
	return ""
}

func recordsOf(ctx context.Context, from board.Reader, kind records.FactKind) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := from.Scan(ctx, kind, func(key string, record []byte) error {
		out[key] = bytes.Clone(record)
		return nil
	})
	return out, err
}

// sameRecord tells whether two records say the same. Sets, and the environments of a subject, are in the order in
// which units came, which is another in the model.
func sameRecord(kind records.FactKind, a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	switch kind {
	case records.LineFact: // how often the entries were counted depends on what came twice
		x, err1 := records.DecodeHead(a)
		y, err2 := records.DecodeHead(b)
		return err1 == nil && err2 == nil && x.Entries == y.Entries && x.Last == y.Last
	case records.NameFact, records.AliasFact, records.PackageFact, records.ServiceFact, records.RunsFact:
		x, err1 := records.DecodeSet(a)
		y, err2 := records.DecodeSet(b)
		slices.Sort(x)
		slices.Sort(y)
		return err1 == nil && err2 == nil && slices.Equal(x, y)
	case records.ContextFact:
		x, err1 := records.DecodeContexts(a)
		y, err2 := records.DecodeContexts(b)
		order := func(a, b records.Context) int {
			return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Type, b.Type))
		}
		slices.SortFunc(x, order)
		slices.SortFunc(y, order)
		return err1 == nil && err2 == nil && slices.Equal(x, y)
	}
	return false
}

// measure fills what was measured.
func (r *run) measure() {
	res := r.result
	rate := func(from, to time.Time) float64 {
		if !to.After(from) {
			return 0
		}
		return float64(r.recorder.between(from, to)) / to.Sub(from).Seconds()
	}
	r.recorder.mu.Lock()
	last := r.healed
	if n := len(r.recorder.times); n > 0 {
		last = r.recorder.times[n-1]
	}
	r.recorder.mu.Unlock()
	res.Before, res.During, res.After = rate(r.began, r.faulted), rate(r.faulted, r.healed), rate(r.healed, last)
	for _, at := range r.episodes {
		if d, ok := r.recorder.firstAfter(at); ok {
			res.Recovery = max(res.Recovery, d)
		}
	}
	// Full rate: the first half second from the end of the last fault on in which events come at four fifths of the rate
	// before it, or everything has come.
	if n := len(r.episodes); n > 0 {
		const window = 500 * time.Millisecond
		end := r.episodes[n-1]
		for at := end; ; at = at.Add(50 * time.Millisecond) {
			if !at.Add(window).Before(last) || rate(at, at.Add(window)) >= 0.8*res.Before {
				res.FullRate = at.Sub(end)
				break
			}
		}
	}
	res.RSS = r.relay.maxRSS()
	res.Goroutines, res.GoroutinesAfter = r.goroutines, r.goroutinesAfter
	res.Hit = r.hit
	res.Evidence = strings.Join(r.evidence, "; ")
}
