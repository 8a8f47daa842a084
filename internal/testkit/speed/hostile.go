package speed

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/hostile"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/steady"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// What is marked: an event that takes that many times what an ordinary one takes for each byte, or the more for each byte the
// larger it is.
const (
	beyond = 30
	grows  = 2
)

// Cost is what a shape takes in one way of translating it, by its sizes.
type Cost struct {
	Shape, Variant string
	Taught         bool
	At             []CostAt
	Code           string // the refusal at the largest size, "" for none
	Top            string // where the time goes, for those that are marked
}

// CostAt is what an event of a size takes.
type CostAt struct {
	Size  int // as it was asked for
	Bytes int
	Nanos float64 // of processor time: decoding, translating and teaching the ledger
	Times float64 // for each byte, against an ordinary event
}

// Marks say what is wrong: "30x", "grows", both or nothing.
func (c *Cost) Marks() string {
	var marks []string
	first, last := c.At[1], c.At[len(c.At)-1]
	for _, at := range c.At {
		if at.Times > beyond {
			marks = append(marks, strconv.Itoa(beyond)+"x")
			break
		}
	}
	if last.Times > grows*first.Times && last.Times > 1 {
		marks = append(marks, "grows")
	}
	return strings.Join(marks, " ")
}

// doubtful tells whether there is a mark, but not by much.
func (c *Cost) doubtful() bool {
	return c.Marks() != "" && c.last().Times < 4*max(grows*c.At[1].Times, 1) && c.last().Times < 4*beyond
}

// HostileOptions choose among the shapes.
type HostileOptions struct {
	Only     *regexp.Regexp // shapes whose name fits; nil: all
	Variants *regexp.Regexp // likewise
	Part     int            // of Parts, from 1: each takes some of the shapes; 0: all of them
	Parts    int
	Progress io.Writer // may be nil
}

// Hostile measures the shapes.
func Hostile(o HostileOptions) ([]Cost, error) {
	sizes := hostile.Sizes()
	var out []Cost
	tops := map[string]string{}
	for _, v := range hostile.Variants() {
		if o.Variants != nil && !o.Variants.MatchString(v.Name) {
			continue
		}
		engine, err := translate.New(v.Settings)
		if err != nil {
			return nil, err
		}
		ordinary, err := newOrdinary(engine)
		if err != nil {
			return nil, err
		}
		for i, s := range hostile.Shapes() {
			if o.Parts > 0 && i%o.Parts != o.Part-1 {
				continue
			}
			if o.Only != nil && !o.Only.MatchString(s.Name) {
				continue
			}
			for _, taught := range []bool{false, true} {
				if taught && s.Past == nil || !taught && s.Needs {
					continue
				}
				c := Cost{Shape: s.Name, Variant: v.Name, Taught: taught}
				measure := func(i int) error {
					at, code, err := costOf(&s, engine, ordinary, sizes[i], taught)
					if err != nil {
						return err
					}
					c.Code = code
					if i == len(c.At) {
						c.At = append(c.At, at)
					} else if at.Times < c.At[i].Times {
						c.At[i] = at
					}
					return nil
				}
				for i := range sizes {
					if err = measure(i); err != nil {
						break
					}
				}
				if errors.Is(err, hostile.ErrNoCase) {
					continue
				}
				for range 2 { // a mark must not come of what else the machine does
					for i := 0; i < len(sizes) && err == nil && c.doubtful(); i++ {
						if i > 1 {
							err = measure(i)
						}
					}
				}
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", s.Name, v.Name, err)
				}
				if c.Marks() != "" && tops[s.Name] == "" {
					if tops[s.Name], err = top(&s, engine, sizes[len(sizes)-1], taught); err != nil {
						return nil, err
					}
				}
				c.Top = tops[s.Name]
				if o.Progress != nil && c.Marks() != "" {
					fmt.Fprintf(o.Progress, "%s\n", c.line())
				}
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func (c *Cost) last() *CostAt { return &c.At[len(c.At)-1] }

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (c *Cost) line() string {
	var b strings.Builder
	ledger := "empty"
	if c.Taught {
		ledger = "taught"
	}
	fmt.Fprintf(&b, "%s [%s, %s]", c.Shape, c.Variant, ledger)
	for _, at := range c.At {
		fmt.Fprintf(&b, " %.2fx", at.Times)
	}
	fmt.Fprintf(&b, " %s %s (%s)", c.Code, c.Marks(), c.Top)
	return b.String()
}

// once is one translation of a case, with merging what it teaches, which is not kept: the next time is as the first.
func once(c *hostile.Case) (string, error) {
	r, err := c.Translate()
	code, refused := hostile.CodeOf(err)
	if err != nil {
		if !refused {
			return "", err
		}
		return code, nil
	}
	return "", c.Merge(r)
}

// costOf measures one case: the fastest of some runs, against ordinary events at the same time.
func costOf(s *hostile.Shape, engine *translate.Engine, ordinary *ordinary, size int, taught bool) (CostAt, string, error) {
	c, err := s.Prepare(engine, size, taught)
	if err != nil {
		return CostAt{}, "", err
	}
	const least, most, enough = 5, 40, 20 * time.Millisecond
	fastest, code := time.Duration(1<<62), ""
	usual := ordinary.nanosPerByte()
	began := time.Now()
	repeat := 1
	runtime.GC()
	for i := 0; i < least || i < most && time.Since(began) < enough; i++ {
		start := cpuTime()
		for range repeat {
			if code, err = once(c); err != nil {
				return CostAt{}, "", err
			}
		}
		took := (cpuTime() - start) / time.Duration(repeat)
		fastest = min(fastest, took)
		if i == 0 && took < 500*time.Microsecond {
			repeat = int(500*time.Microsecond/max(took, 5*time.Microsecond)) + 1
		}
	}
	usual = min(usual, ordinary.nanosPerByte())
	nanos := float64(fastest.Nanoseconds())
	return CostAt{size, len(c.Text), nanos, nanos / float64(len(c.Text)) / usual}, code, nil
}

// ordinary translates ordinary events.
type ordinary struct {
	streams []*steady.Stream
}

func newOrdinary(engine *translate.Engine) (*ordinary, error) {
	o := &ordinary{}
	for _, t := range []steady.Type{steady.ServiceDeployed(), steady.ArtifactDeployed()} {
		s, err := steady.New(engine, t, 2000)
		if err != nil {
			return nil, err
		}
		o.streams = append(o.streams, s)
	}
	return o, nil
}

// nanosPerByte is what ordinary events take for each byte now.
func (o *ordinary) nanosPerByte() float64 {
	var nanos, size float64
	for _, s := range o.streams {
		fastest := time.Duration(1 << 62)
		for range 3 {
			start := cpuTime()
			for range 40 {
				s.Next()
			}
			fastest = min(fastest, (cpuTime()-start)/40)
		}
		nanos += float64(fastest.Nanoseconds())
		size += float64(len(s.Text()))
	}
	return nanos / size
}

// top is the function of the module in which most of the time goes, by a profile, and the one that takes it itself.
func top(s *hostile.Shape, engine *translate.Engine, size int, taught bool) (string, error) {
	c, err := s.Prepare(engine, size, taught)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp("", "hostile-*.pprof")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	runtime.GC()
	if err := pprof.StartCPUProfile(file); err != nil {
		return "", err
	}
	for start := time.Now(); time.Since(start) < 400*time.Millisecond; {
		if _, err := once(c); err != nil {
			pprof.StopCPUProfile()
			return "", err
		}
	}
	pprof.StopCPUProfile()
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=200", file.Name()).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	return busiest(out), nil
}

var profileLine = regexp.MustCompile(`^\s*\S+\s+([0-9.]+)%\s+\S+\s+\S+\s+([0-9.]+)%\s+(\S.*)$`)

// busiest reads the table of a profile.
func busiest(table []byte) string {
	type row struct {
		name      string
		flat, cum float64
	}
	var ours, all []row
	for _, line := range strings.Split(string(table), "\n") {
		m := profileLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		flat, _ := strconv.ParseFloat(m[1], 64)
		cum, _ := strconv.ParseFloat(m[2], 64)
		name := strings.TrimSuffix(m[3], " (inline)")
		all = append(all, row{name, flat, cum})
		if at := strings.Index(name, "eiffelbridge/eiffelbridge/"); at >= 0 && !strings.Contains(name, "/testkit/") {
			ours = append(ours, row{name[at+len("eiffelbridge/eiffelbridge/"):], flat, cum})
		}
	}
	slices.SortFunc(ours, func(a, b row) int { return cmp.Compare(b.cum, a.cum) })
	slices.SortFunc(all, func(a, b row) int { return cmp.Compare(b.flat, a.flat) })
	text := ""
	for _, r := range ours { // the innermost that still has half of the time
		if r.cum >= 50 {
			text = fmt.Sprintf("%s %.0f%%", r.name, r.cum)
		}
	}
	if len(all) > 0 {
		text += fmt.Sprintf("; itself %s %.0f%%", filepath.Base(all[0].name), all[0].flat)
	}
	return strings.TrimPrefix(text, "; ")
}

// HostileTable is the table of the costs: those that are marked first, then the rest if all is set.
func HostileTable(costs []Cost, all bool) *Table {
	t := &Table{Title: "Hostile shapes: the cost of each byte, in costs of a byte of an ordinary event"}
	t.Columns = []Column{{Name: "  how"}}
	for _, size := range hostile.Sizes() {
		t.Columns = append(t.Columns, Column{Name: fmt.Sprintf("%d k", size>>10), Right: true})
	}
	t.Columns = append(t.Columns, Column{Name: "ns/B", Right: true}, Column{Name: "refused"}, Column{Name: "mark"})
	worst := map[string]*Cost{} // by shape
	var order []*Cost
	for i := range costs {
		c := &costs[i]
		w := worst[c.Shape]
		if w == nil {
			w = c
			order = append(order, c)
		}
		if worst[c.Shape] = w; c.last().Times > w.last().Times || c.Marks() != "" && w.Marks() == "" {
			worst[c.Shape] = c
		}
	}
	for i, c := range order {
		order[i] = worst[c.Shape]
	}
	slices.SortStableFunc(order, func(a, b *Cost) int { return cmp.Compare(b.last().Times, a.last().Times) })
	for _, c := range order {
		if !all && c.Marks() == "" {
			continue
		}
		t.Rows = append(t.Rows, []string{c.Shape})
		how := "  " + c.Variant
		if c.Taught {
			how += ", taught"
		}
		cells := []string{how}
		for _, at := range c.At {
			cells = append(cells, number(at.Times))
		}
		t.Rows = append(t.Rows, append(cells, number(c.last().Nanos/float64(c.last().Bytes)), or(c.Code, "-"), c.Marks()))
		if c.Marks() != "" {
			t.Rows = append(t.Rows, []string{"  " + c.Top})
		}
	}
	marked := 0
	for i := range costs {
		if costs[i].Marks() != "" {
			marked++
		}
	}
	var note bytes.Buffer
	fmt.Fprintf(&note, `%d shapes in %d ways, of which %d are marked; of each shape the worst stands here. %dx: more than
%d times an ordinary event at some size. grows: a byte of the largest costs more than %d times a
byte of %d k.`, len(order), len(costs), marked, beyond, beyond, grows, hostile.Sizes()[1]>>10)
	t.Note = note.String()
	return t
}
