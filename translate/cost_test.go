package translate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/hostile"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// cost is what a translation takes, as far as it can be counted.
type cost struct {
	bytes   int // of the event
	steps   int
	mallocs uint64
	memory  uint64 // bytes
	code    string
}

func costOf(engine *translate.Engine, c *hostile.Case) (out cost, err error) {
	out.bytes = len(c.Text)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var r translate.Result
	in, err := translate.Decode(c.Text)
	if err == nil {
		r, out.steps, _, err = translate.Steps(context.Background(), engine, c.Ledger, in)
	}
	code, refused := hostile.CodeOf(err)
	if !refused {
		return out, err
	}
	out.code = code
	if err == nil {
		if err := c.Apply(r); err != nil {
			return out, err
		}
	}
	runtime.ReadMemStats(&after)
	out.mallocs, out.memory = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return out, nil
}

func TestCost(t *testing.T) {
	for _, v := range hostile.Variants() {
		engine := newEngine(t, v.Settings)
		for _, s := range hostile.Shapes() {
			for _, taught := range []bool{false, true} {
				if taught && s.Past == nil || !taught && s.Needs {
					continue
				}
				var costs []cost
				for _, size := range hostile.Sizes() {
					c, err := s.Prepare(engine, size, taught)
					if errors.Is(err, hostile.ErrNoCase) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					x, err := costOf(engine, c)
					if err != nil {
						t.Fatal(err)
					}
					costs = append(costs, x)
				}
				if os.Getenv("COSTS") != "" {
					line := fmt.Sprintf("%s [%s %v]", s.Name, v.Name, taught)
					for _, c := range costs {
						line += fmt.Sprintf(" | %d %d %d %d", c.bytes, c.steps, c.mallocs, c.memory)
					}
					if len(costs) > 0 {
						line += " | " + slices.Collect(func(yield func(string) bool) { yield(costs[len(costs)-1].code) })[0]
					}
					fmt.Println(line)
				}
			}
		}
	}
}
