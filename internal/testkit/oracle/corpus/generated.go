package corpus

import (
	"math/rand/v2"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

// share is a tale and how often it is told.
type share struct {
	tale  tale
	often int
}

// theme is what a generated stream is mostly about.
type theme struct {
	name   string
	length [2]int // events, at least and at most
	modern bool   // the settings mostly have an edition that knows deployments
	tales  []share
}

var allNames = append(append(append([]string{}, serviceNames...), runNames...), otherNames...)

var themes = []theme{
	{"mixed", [2]int{20, 150}, false, []share{{plainCDEvent(allNames), 30}, {eiffelService, 8}, {plainEiffel(runTypes), 12}, {plainEiffel(sourceTypes), 10}, {anything, 8},
		{customCDEvent, 5}, {cdeventOfEiffel, 6}, {unknownEiffel, 1}, {again, 8}, {around, 12}, {damaged, 3}}},
	{"services in CDEvents", [2]int{40, 200}, true, []share{{plainCDEvent(serviceNames), 80}, {again, 6}, {around, 6}, {plainCDEvent([]string{"incident.detected", "incident.resolved"}), 4}, {damaged, 1}}},
	{"services in Eiffel", [2]int{40, 200}, true, []share{{eiffelService, 80}, {again, 6}, {around, 6}, {damaged, 1}}},
	{"services in both", [2]int{40, 250}, true, []share{{plainCDEvent(serviceNames), 40}, {eiffelService, 40}, {again, 8}, {around, 12}, {plainEiffel(sourceTypes), 4}, {damaged, 1}}},
	{"runs in CDEvents", [2]int{30, 150}, false, []share{{plainCDEvent(runNames), 70}, {plainCDEvent(serviceNames), 10}, {again, 8}, {around, 8}, {damaged, 1}}},
	{"runs in Eiffel", [2]int{30, 150}, false, []share{{plainEiffel(runTypes), 70}, {eiffelService, 10}, {cdeventOfEiffel, 8}, {again, 8}, {around, 8}, {damaged, 1}}},
	{"sources in both", [2]int{30, 150}, false, []share{{plainCDEvent(otherNames), 45}, {plainEiffel(sourceTypes), 35}, {madeOfChanges, 4}, {customCDEvent, 4}, {again, 8}, {around, 10}, {damaged, 1}}},
	{"anything", [2]int{30, 120}, false, []share{{anything, 75}, {again, 8}, {around, 15}, {damaged, 3}}},
	{"damaged", [2]int{20, 100}, false, []share{{anything, 15}, {plainCDEvent(allNames), 15}, {plainEiffel(runTypes), 8}, {eiffelService, 8}, {unknownEiffel, 6}, {customCDEvent, 6}, {damaged, 40}, {again, 5}, {around, 10}}},
	{"there and back", [2]int{30, 150}, false, []share{{plainCDEvent(allNames), 25}, {eiffelService, 12}, {plainEiffel(runTypes), 8}, {plainEiffel(sourceTypes), 6}, {again, 5}, {around, 55}}},
	{"overlays", [2]int{30, 150}, true, []share{{ofOverlay, 60}, {plainCDEvent(allNames), 12}, {eiffelService, 14}, {again, 6}, {around, 12}, {damaged, 1}}},
	{"crowds", [2]int{100, 300}, true, []share{{crowd, 1}, {plainCDEvent(allNames), 20}, {eiffelService, 10}, {plainEiffel(runTypes), 10}, {madeOfChanges, 3}, {around, 4}}},
	{"long line in CDEvents", [2]int{220, 400}, true, []share{{longLine(false), 92}, {again, 5}, {around, 3}}},
	{"long line in Eiffel", [2]int{240, 400}, true, []share{{longLine(true), 92}, {again, 5}, {around, 3}}},
	{"long line in both", [2]int{240, 400}, true, []share{{longLine(false), 45}, {longLine(true), 47}, {again, 5}, {around, 3}}},
}

// Generate writes one stream: everything in it follows from the seed.
func Generate(seed uint64) stream.Stream {
	w := newWorld(seed)
	at := w.IntN(len(themes)*4 - 9) // the long lines come a quarter as often as the others
	t := themes[len(themes)-1]
	if at/4 < len(themes)-3 {
		t = themes[at/4]
	} else {
		t = themes[len(themes)-3+at%4%3]
	}
	total := 0
	for _, s := range t.tales {
		total += s.often
	}
	length := t.length[0] + w.IntN(t.length[1]-t.length[0]+1)
	far := 0
	if w.chance(40) {
		far = 10
	}
	for len(w.steps) < length {
		to := stream.Near
		if w.chance(far) {
			to = stream.Far
		}
		n := w.IntN(total)
		for _, s := range t.tales {
			if n -= s.often; n < 0 {
				s.tale(w, to)
				break
			}
		}
	}
	return stream.Stream{Name: describe(t.name, seed), Steps: w.steps, Variants: []stream.Variant{drawVariant(w.Rand, &t)}}
}

func drawVariant(r *rand.Rand, t *theme) stream.Variant {
	v := stream.Variant{Near: drawSettings(r, t)}
	if r.IntN(100) < 35 {
		far := drawSettings(r, t)
		far.Explain = v.Near.Explain
		v.Far = &far
	}
	switch n := r.IntN(100); {
	case n < 25:
		v.Back = true
	case n < 40:
		v.Round = true
	case n < 45:
		v.Back, v.Round = true, true
	}
	v.Fresh = r.IntN(100) < 3
	if r.IntN(100) < 3 {
		v.Hurt = 3 + r.IntN(20)
	}
	v.Each = r.IntN(100) < 4
	return v
}

func drawSettings(r *rand.Rand, t *theme) stream.Settings {
	var s stream.Settings
	chance := func(n int) bool { return r.IntN(100) < n }
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	modern := 50
	if t.modern {
		modern = 88
	}
	if !chance(modern) {
		s.Edition = pick(editions()...)
	}
	if chance(40) {
		s.Spec = pick(specs()...)
	}
	if chance(30) {
		s.Carry = "none"
	}
	s.Synthesize = pick("", "", "", "always", "never")
	s.Returning = pick("", "drop", "restore", "translate")
	if chance(20) {
		s.NoMapping = pick("refuse", "drop")
	}
	if chance(6) {
		s.Unresolved = "fail"
	}
	if chance(10) {
		s.ServiceIDKey = "service"
	}
	if chance(15) {
		s.PublishedLevels = []string{"live", "released"}
	}
	s.AllQualifiers = chance(15)
	if chance(20) {
		s.Version = "1.2.3"
	}
	s.Explain = chance(40)
	if chance(8) || t.name == "overlays" {
		s.Overlay = pick("acme-release", "deployment", "conditions")
	}
	return s
}
