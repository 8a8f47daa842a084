package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Report is what a comparison found.
type Report struct {
	Expected *Expected
	Coverage *Coverage // of the old side; nil: not counted

	Blocks, Events, Outputs, Errors int
	Streams                         map[string]bool
	States                          int

	DifferentBlocks, DifferentEvents int

	groups map[string]*group // of unexplained differences, by kind
	Reason []int             // by rule: the events, or states, that differ for it and for nothing that no rule explains
	Keep   int               // how many examples of a kind to keep
	Whole  bool              // print all examples that were kept, with what went in, and nothing shortened
	total  int
}

// group are the unexplained differences of one kind.
type group struct {
	kind     string
	n        int
	blocks   map[int]bool
	first    int // how many of them are the first of their block
	examples []Difference
}

// NewReport returns an empty report.
func NewReport(e *Expected) *Report {
	return &Report{Expected: e, Streams: map[string]bool{}, groups: map[string]*group{}, Reason: make([]int, len(e.Rules)), Keep: 3}
}

// Unexplained is the number of differences that no rule explains.
func (r *Report) Unexplained() int { return r.total }

// Compare reads what two drivers wrote about the same corpus, block by block.
func (r *Report) Compare(old, new io.Reader) error {
	a, b := newBlocks(old), newBlocks(new)
	for {
		x, errA := a.next()
		y, errB := b.next()
		switch {
		case errA == io.EOF && errB == io.EOF:
			return nil
		case errA != nil:
			return fmt.Errorf("the old driver: %w", errA)
		case errB != nil:
			return fmt.Errorf("the new driver: %w", errB)
		}
		if err := r.block(x, y); err != nil {
			return err
		}
	}
}

// blocks reads a driver's output block by block.
type blocks struct {
	in     *bufio.Reader
	buffer []byte
}

func newBlocks(in io.Reader) *blocks { return &blocks{in: bufio.NewReaderSize(in, 1<<20)} }

// next gives the lines of the next block, without its end. It is valid until the next call.
func (b *blocks) next() ([]byte, error) {
	b.buffer = b.buffer[:0]
	start := 0
	for {
		part, err := b.in.ReadSlice('\n')
		b.buffer = append(b.buffer, part...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(b.buffer) > 0:
			return nil, errors.New("it ended within a block")
		case err != nil:
			return nil, err
		}
		if string(b.buffer[start:]) == "end\n" {
			return b.buffer[:start], nil
		}
		start = len(b.buffer)
	}
}

func (r *Report) block(old, new []byte) error {
	oldLines, newLines := lines(old), lines(new)
	if !bytes.Equal(oldLines[0], newLines[0]) {
		return fmt.Errorf("the drivers are not at the same stream: %s and %s", oldLines[0], newLines[0])
	}
	var head blockHead
	if err := json.Unmarshal(oldLines[0], &head); err != nil {
		return err
	}
	r.count(head, oldLines)
	if bytes.Equal(old, new) {
		return nil
	}
	read := func(lines [][]byte) (order []string, byID map[string][]byte, err error) {
		byID = map[string][]byte{}
		for _, l := range lines[1:] {
			id, err := recordID(l)
			if err != nil {
				return nil, nil, err
			}
			order = append(order, id)
			byID[id] = l
		}
		return order, byID, nil
	}
	order, before, err := read(oldLines)
	if err != nil {
		return err
	}
	newOrder, after, err := read(newLines)
	if err != nil {
		return err
	}
	for _, id := range newOrder {
		if before[id] == nil {
			order = append(order, id)
		}
	}
	r.DifferentBlocks++
	rest := -1 // the rule that explains what comes later
	first := true
	for _, id := range order {
		if bytes.Equal(before[id], after[id]) {
			continue
		}
		if err := r.event(head, before[id], after[id], &rest, &first); err != nil {
			return err
		}
	}
	return nil
}

// recordID is the id of a line's record, without reading all of it.
func recordID(line []byte) (string, error) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"at":"`))
	at, rest, found := bytes.Cut(rest, []byte(`"`))
	if !ok || !found {
		return "", fmt.Errorf("no line of a driver: %s", shorten(string(line), 200))
	}
	id := string(at)
	if state, ok := bytes.CutPrefix(rest, []byte(`,"state":"`)); ok {
		whose, _, _ := bytes.Cut(state, []byte(`"`))
		id += " " + string(whose)
	}
	return id, nil
}

// event compares one event, or one learned state.
func (r *Report) event(head blockHead, oldLine, newLine []byte, rest *int, first *bool) error {
	var sides [2]*record
	for i, line := range [][]byte{oldLine, newLine} {
		if line == nil {
			continue
		}
		var err error
		if sides[i], err = read(line); err != nil {
			return err
		}
	}
	r.DifferentEvents++
	reasons := map[int]bool{}
	for _, rule := range r.Expected.normalise(sides[0], sides[1]) {
		reasons[rule] = true
	}
	found := differences(sides[0], sides[1])
	unexplained := 0
	for i := range found {
		d := &found[i]
		d.Block, d.Stream, d.Settings = head.Block, head.Stream, head.Settings
		for _, side := range sides {
			if side != nil {
				d.At, d.Input = side.At, side.Text
			}
		}
		rule := r.Expected.explain(d)
		if rule < 0 {
			rule = *rest
		}
		if rule >= 0 {
			reasons[rule] = true
			if r.Expected.Rules[rule].Rest {
				*rest = rule
			}
			continue
		}
		unexplained++
		r.unexplained(d, *first)
	}
	if unexplained > 0 {
		*first = false
		return nil
	}
	for rule := range reasons {
		r.Reason[rule]++
	}
	return nil
}

func (r *Report) unexplained(d *Difference, first bool) {
	r.total++
	g := r.groups[d.Kind]
	if g == nil {
		g = &group{kind: d.Kind, blocks: map[int]bool{}}
		r.groups[d.Kind] = g
	}
	g.n++
	if first {
		g.first++
	}
	// An example from every run once, those first that nothing came before; to print the whole, all.
	if !g.blocks[d.Block] || r.Whole {
		g.blocks[d.Block] = true
		switch {
		case len(g.examples) < r.Keep:
			g.examples = append(g.examples, *d)
		case first && g.first <= r.Keep:
			g.examples[g.first-1] = *d
		}
	}
}

// count counts what the old driver wrote. Texts within the lines are escaped, so that a member's name in quotes is one of
// the driver's own.
func (r *Report) count(head blockHead, lines [][]byte) {
	r.Blocks++
	r.Streams[head.Stream] = true
	for _, l := range lines[1:] {
		switch {
		case bytes.Contains(l[:min(len(l), 80)], []byte(`","state":"`)):
			r.States++
			continue
		case bytes.Contains(l[:min(len(l), 80)], []byte(`"nothing":true`)):
			continue
		}
		r.Events++
		r.Outputs += bytes.Count(l, []byte(`,"protocol":"`))
		if bytes.Contains(l, []byte(`,"error":{"n":0`)) {
			r.Errors++
		}
		if r.Coverage != nil {
			r.Coverage.line(l)
		}
	}
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	kinds := slices.Collect(maps.Values(r.groups))
	slices.SortFunc(kinds, func(a, b *group) int {
		if a.first != b.first {
			return b.first - a.first
		}
		if a.n != b.n {
			return b.n - a.n
		}
		return strings.Compare(a.kind, b.kind)
	})
	if len(kinds) > 0 {
		fmt.Fprintf(w, "UNEXPLAINED, by kind: those first that are the first difference of their stream; the others may follow from them.\n\n")
	}
	for _, g := range kinds {
		fmt.Fprintf(w, "%s: %d, in %d streams, the first there %d times\n", g.kind, g.n, len(g.blocks), g.first)
		for i, d := range g.examples {
			if i == 1 && g.first == 0 && !r.Whole {
				break
			}
			other := ""
			if d.OtherInput {
				other = " (what went in differs already)"
			}
			old, new := d.Old, d.New
			if !r.Whole {
				old, new = around(d.Old, d.New)
			}
			fmt.Fprintf(w, "    block %d  %s  [%s]  event %s%s\n", d.Block, d.Stream, d.Settings, d.At, other)
			if d.Input != "" {
				fmt.Fprintf(w, "        in:  %s\n", oneLine(d.Input))
			}
			if d.Where != "" {
				fmt.Fprintf(w, "        %s\n", shorten(d.Where, 300))
			}
			fmt.Fprintf(w, "        old: %s\n        new: %s\n", old, new)
		}
	}
	if len(kinds) > 0 {
		fmt.Fprintln(w)
	}
	for i, rule := range r.Expected.Rules {
		fmt.Fprintf(w, "explained %7d  %s\n", r.Reason[i], rule.Reason)
	}
	fmt.Fprintf(w, "%d streams in %d runs, %d events, %d outputs, %d errors, %d learned states; %d runs and %d events or states differ; %d differences are unexplained\n",
		len(r.Streams), r.Blocks, r.Events, r.Outputs, r.Errors, r.States, r.DifferentBlocks, r.DifferentEvents, r.total)
}

// oneLine writes an event compactly if it is JSON, and quoted if not.
func oneLine(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) == nil {
		return b.String()
	}
	return fmt.Sprintf("%q", text)
}

// around shortens two texts to where they begin to differ.
func around(old, new string) (string, string) {
	if old == "" {
		old = "nothing"
	}
	if new == "" {
		new = "nothing"
	}
	same := 0
	for same < len(old) && same < len(new) && old[same] == new[same] {
		same++
	}
	from := max(0, same-60)
	cut := func(s string) string {
		if from > 0 && len(s) > 160 {
			at := min(from, len(s))
			for at < len(s) && s[at]&0xC0 == 0x80 {
				at++
			}
			s = "…" + s[at:]
		}
		return shorten(s, 200)
	}
	return cut(old), cut(new)
}
