package translate_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/hostile"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// What an event of any shape may cost: times times what ordinary events of its size cost, and what an event may cost whatever
// its size, such as asking for a hundred services.
const times = 30

var always = cost{steps: 250, mallocs: 3000, memory: 400 << 10}

// cost is what a translation takes, as far as it can be counted. Time cannot.
type cost struct {
	bytes   int // of the event
	steps   int // that the engine counted itself
	mallocs int
	memory  int // bytes that were allocated
}

// costOf translates a case and teaches the ledger what was learned.
func costOf(engine *translate.Engine, c *hostile.Case) (out cost, err error) {
	out.bytes = len(c.Text)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var r translate.Result
	in, err := c.Decode()
	if err == nil {
		r, out.steps, _, err = translate.Steps(context.Background(), engine, c.Ledger, in)
	}
	if _, refused := hostile.CodeOf(err); !refused {
		return out, err
	}
	if err == nil {
		if err := c.Apply(r); err != nil {
			return out, err
		}
	}
	runtime.ReadMemStats(&after)
	out.mallocs, out.memory = int(after.Mallocs-before.Mallocs), int(after.TotalAlloc-before.TotalAlloc)
	return out, nil
}

// ordinaryCost is what ordinary events cost together.
func ordinaryCost(t testing.TB, engine *translate.Engine) (sum cost) {
	t.Helper()
	for _, event := range hostile.Ordinary() {
		c, err := event.Prepare(engine, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		one, err := costOf(engine, c)
		if err != nil {
			t.Fatal(err)
		}
		sum.bytes, sum.steps, sum.mallocs, sum.memory = sum.bytes+one.bytes, sum.steps+one.steps, sum.mallocs+one.mallocs, sum.memory+one.memory
	}
	if sum.steps == 0 || sum.memory == 0 {
		t.Fatalf("ordinary events cost nothing: %+v", sum)
	}
	return sum
}

// tooMuch says in what an event of a shape costs more than it may; empty if in nothing. costs are by size, of which each of
// the last two is twice the one before.
func tooMuch(ordinary cost, costs []cost) string {
	var out []string
	check := func(what string, of func(cost) int) {
		for _, c := range costs {
			if most := of(always) + times*of(ordinary)*c.bytes/ordinary.bytes; of(c) > most {
				out = append(out, fmt.Sprintf("%d %s for %d bytes, which may be %d", of(c), what, c.bytes, most))
				break
			}
		}
		n := len(costs)
		if costs[n-1].bytes > 3*costs[n-2].bytes {
			return // it could not be made of that size
		}
		once, twice := of(costs[n-2]), of(costs[n-1])
		// Four times would be the square. A list that grows by doubling is now and then half as large again as it must be.
		if most := 3*once + of(always)/2; twice > most {
			out = append(out, fmt.Sprintf("%d %s, twice the size %d", once, what, twice))
		}
	}
	check("steps", func(c cost) int { return c.steps })
	if !raced {
		check("allocations", func(c cost) int { return c.mallocs })
		check("bytes of memory", func(c cost) int { return c.memory })
	}
	return strings.Join(out, "; ")
}

// TestCost holds what events of every hostile shape cost against what ordinary ones do: for each byte it is not much more,
// and it grows as the size does. Steps are what the engine counts; memory is what no code can hide.
func TestCost(t *testing.T) {
	sizes := slices.Delete(hostile.Sizes(), 2, 3) // four are enough
	part := everyNthShape
	if testing.Short() {
		part = max(part, 8)
	}
	ran := 0
	for number, v := range hostile.Variants() {
		engine := newEngine(t, v.Settings)
		ordinary := ordinaryCost(t, engine)
		for i, s := range hostile.Shapes() {
			// The variants differ little: each after the first gets a part of the shapes.
			if i%part != 0 || number > 0 && !s.Needs && i/part%3 != number-1 {
				continue
			}
			for _, taught := range []bool{false, true} {
				if taught && s.Past == nil || !taught && s.Needs {
					continue
				}
				var costs []cost
				for _, size := range sizes {
					c, err := s.Prepare(engine, size, taught)
					if errors.Is(err, hostile.ErrNoCase) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					one, err := costOf(engine, c)
					if err != nil {
						t.Fatal(err)
					}
					costs = append(costs, one)
				}
				if len(costs) < len(sizes) {
					continue
				}
				ran++
				if too := tooMuch(ordinary, costs); too != "" {
					t.Errorf("%s (%s, taught: %t): %s", s.Name, v.Name, taught, too)
				}
			}
		}
	}
	if ran == 0 {
		t.Error("no shape was tried")
	}
}

// FuzzCost holds what any event costs against what ordinary ones do: as it is, and with one of its values made so large that
// what grows faster than the size shows.
func FuzzCost(f *testing.F) {
	for _, s := range hostile.Shapes() {
		f.Add(s.Event(1<<10), byte(0))
	}
	for _, s := range hostile.Ordinary() {
		for number := range 60 {
			f.Add(s.Event(0), byte(number))
		}
	}
	var engines []*translate.Engine
	for _, v := range hostile.Variants() {
		engines = append(engines, newEngine(f, v.Settings))
	}
	ordinary := ordinaryCost(f, engines[0])
	f.Fuzz(func(t *testing.T, text []byte, number byte) {
		engine := engines[len(text)%len(engines)]
		var costs []cost
		for _, size := range []int{0, 16 << 10, 32 << 10} {
			event := text
			if size > 0 {
				event = hostile.Enlarge(text, int(number), size)
			}
			one, err := costOf(engine, hostile.NewCase(engine, event))
			if err != nil {
				checkEventError(t, err)
			}
			costs = append(costs, one)
		}
		if too := tooMuch(ordinary, costs); too != "" {
			t.Errorf("%s\n%s", too, text)
		}
	})
}
