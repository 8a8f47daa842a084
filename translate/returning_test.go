package translate_test

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// bus is a topic that everyone attached to it reads from its beginning to its end.
type bus struct {
	protocol translate.Protocol
	messages []message
}

type message struct {
	translate.Event
	native bool
	by     string // the relay that published it; "" for a native one

	from string // the id of the event that it says it came from; its own if none, "" if it was made up
	hops int    // 0 if it says nothing
}

// relay takes events from buses to others, each direction with a place of its own in what it reads. Both directions
// share one session, and so one ledger.
type relay struct {
	name    string
	session *translate.Session
	mode    translate.Returning
	routes  []*route
}

type route struct {
	from, to *bus
	next     int
}

func (r *relay) join(from, to *bus) { r.routes = append(r.routes, &route{from: from, to: to}) }

// network runs relays until nothing is left to read.
type network struct {
	t      *testing.T
	relays []*relay
	buses  []*bus
	steps  int
}

func (n *network) relay(name string, mode translate.Returning, carry translate.Carry, ledger ledger.Ledger) *relay {
	engine := newEngine(n.t, translate.Settings{Returning: mode, Carry: carry})
	r := &relay{name: name, mode: mode, session: translate.NewSession(engine, ledger)}
	n.relays = append(n.relays, r)
	return r
}

func (n *network) bus(protocol translate.Protocol) *bus {
	b := &bus{protocol: protocol}
	n.buses = append(n.buses, b)
	return b
}

// step lets a relay read one message; false if there is none.
func (n *network) step(r *relay, way *route) bool {
	n.t.Helper()
	if way.next == len(way.from.messages) {
		return false
	}
	m := way.from.messages[way.next]
	way.next++
	n.steps++
	result, err := r.session.Translate(context.Background(), m.JSON)
	if err != nil {
		n.t.Fatalf("%s: %v\n%s", r.name, err, m.JSON)
	}
	if result.Returning == translate.ReturningDrop && len(result.Events) > 0 {
		n.t.Errorf("%s: dropped, and yet there is\n%s", r.name, texts(result.Events))
	}
	for _, e := range result.Events {
		checkValid(n.t, e)
		if e.Protocol != way.to.protocol {
			n.t.Errorf("%s: restored to a bus of the other protocol: %s", r.name, e.JSON)
		}
		way.to.messages = append(way.to.messages, newMessage(n.t, e, r.name))
	}
	return true
}

// quiet runs until nothing is left to read, in an order that chance makes; it fails if that takes more steps than most.
func (n *network) quiet(chance *rand.Rand, most int) bool {
	n.t.Helper()
	for {
		type turn struct {
			r   *relay
			way *route
		}
		var open []turn
		for _, r := range n.relays {
			for _, way := range r.routes {
				if way.next < len(way.from.messages) {
					open = append(open, turn{r, way})
				}
			}
		}
		if len(open) == 0 {
			return true
		}
		if n.steps > most {
			n.t.Errorf("not quiet after %d steps", n.steps)
			return false
		}
		next := open[chance.Intn(len(open))]
		n.step(next.r, next.way)
	}
}

// inject publishes a native event.
func (n *network) inject(b *bus, text string) {
	n.t.Helper()
	e, err := translate.Decode([]byte(text))
	if err != nil {
		n.t.Fatal(err)
	}
	b.messages = append(b.messages, newMessage(n.t, e, ""))
}

// newMessage reads what an event says of the one that it came from. Drop and restore allow one bridge in between.
func newMessage(t *testing.T, e translate.Event, by string) message {
	t.Helper()
	m := message{Event: e, native: by == "", by: by, from: e.ID}
	doc, err := jsondoc.Parse(e.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var v jsondoc.Value
	if e.Protocol == translate.CDEvents {
		v = doc.Root().At("customData", "eiffel")
	} else {
		for entry := range doc.Root().At("data", "customData").Children() {
			if entry.Get("key").Str() == "cdevents" {
				v = entry.Get("value")
			}
		}
	}
	if !v.Exists() {
		return m
	}
	m.from, m.hops = "", 1
	for _, id := range []jsondoc.Value{v.Get("id"), v.At("event", "context", "id"), v.At("event", "meta", "id")} {
		if id.Exists() {
			m.from = id.Str()
		}
	}
	return m
}

// nativesHere are events of either protocol, each side speaking of its own subjects.
func nativesHere(t *testing.T) (cd, eiffel []string) {
	t.Helper()
	cd = append([]string{}, life(t)...)
	const text = `case natives
ED stage
ArtC A pkg:oci/cart@1.0.0
ArtC B pkg:oci/cart@1.1.0
ArtD A in stage as a
ArtD B in stage as b
CLM servicePublished SUCCESS on b
ED stage after stage
ArtD A in stage
`
	for _, st := range parseScenarios(t, "natives", text)[0].steps {
		eiffel = append(eiffel, st.text)
	}
	return cd, eiffel
}

// wiring is how two relays hang between two buses.
type wiring struct {
	there, back [2]bool // which relay bridges CDEvents to Eiffel, and which Eiffel to CDEvents
	shared      bool
	modes       [2]translate.Returning
	carry       translate.Carry
}

func (w wiring) String() string {
	text := ""
	for i := range 2 {
		way := map[[2]bool]string{{true, true}: "both", {true, false}: "forth", {false, true}: "back"}[[2]bool{w.there[i], w.back[i]}]
		mode := map[translate.Returning]string{translate.ReturningDrop: "drop", translate.ReturningRestore: "restore", translate.ReturningTranslate: "translate"}[w.modes[i]]
		text += way + " " + mode + ", "
	}
	return fmt.Sprintf("%sshared ledger %t, carry %t", text, w.shared, w.carry != translate.CarryNone)
}

func wirings() []wiring {
	var out []wiring
	ways := [][2]bool{{true, true}, {true, false}, {false, true}}
	modes := []translate.Returning{translate.ReturningDrop, translate.ReturningRestore, translate.ReturningTranslate}
	for i, a := range ways {
		for _, b := range ways[i:] { // which relay is the first makes no difference
			for _, shared := range []bool{false, true} {
				for _, first := range modes {
					for _, second := range modes {
						for _, carry := range []translate.Carry{translate.CarryOriginal, translate.CarryNone} {
							out = append(out, wiring{
								there: [2]bool{a[0], b[0]}, back: [2]bool{a[1], b[1]},
								shared: shared, modes: [2]translate.Returning{first, second}, carry: carry,
							})
						}
					}
				}
			}
		}
	}
	return out
}

// TestWirings runs every wiring of two relays on two buses until it is quiet.
func TestWirings(t *testing.T) {
	cd, eiffel := nativesHere(t)
	for i, w := range wirings() {
		t.Run(w.String(), func(t *testing.T) {
			n := &network{t: t}
			cdBus, eiffelBus := n.bus(translate.CDEvents), n.bus(translate.Eiffel)
			ledger := translate.NewMemoryLedger()
			for j := range 2 {
				if !w.shared {
					ledger = translate.NewMemoryLedger()
				}
				r := n.relay(fmt.Sprintf("relay %d", j), w.modes[j], w.carry, ledger)
				if w.there[j] {
					r.join(cdBus, eiffelBus)
				}
				if w.back[j] {
					r.join(eiffelBus, cdBus)
				}
			}
			// The order in which relays take turns comes from the wiring's number, so that a failure repeats.
			chance := rand.New(rand.NewSource(int64(i)))
			for k := range cd {
				n.inject(cdBus, cd[k])
				n.inject(eiffelBus, eiffel[k])
				for range chance.Intn(6) {
					r := n.relays[chance.Intn(2)]
					n.step(r, r.routes[chance.Intn(len(r.routes))])
				}
			}
			if !n.quiet(chance, 40*(len(cd)+len(eiffel))) {
				return
			}
			checkNetwork(t, n, w, cdBus, eiffelBus)
		})
	}
}

// aside tells whether a relay may read what another made of a native event before the native event itself, and has no
// ledger in common with it.
func (w wiring) aside() bool {
	return !w.shared && (w.there[0] && w.there[1] || w.back[0] && w.back[1])
}

// divergent are the native events of which two relays aside may write different texts under one id, with the reason.
var divergent = map[string]string{
	"env-3": "it is caused by the last version of its environment, and which that is depends on how far ahead a relay has read the other bus",
}

func checkNetwork(t *testing.T, n *network, w wiring, cdBus, eiffelBus *bus) {
	t.Helper()
	// Only where the check is turned off may a translation be translated again.
	echo := slices.Contains(w.modes[:], translate.ReturningTranslate)
	for _, b := range n.buses {
		there := w.there
		far := eiffelBus
		if b == eiffelBus {
			there, far = w.back, cdBus
		}
		bridged := there[0] || there[1]
		copies := 0
		for i := range 2 {
			if there[i] {
				copies++
			}
		}
		for _, m := range b.messages {
			if !m.native {
				continue
			}
			// What the other side got of it: one id, once per relay that bridges that way.
			ids, got := map[string]bool{}, 0
			for _, f := range far.messages {
				if f.from == m.ID && f.hops == 1 && !f.native {
					ids[f.ID] = true
					got++
				}
			}
			if bridged && got == 0 {
				t.Errorf("the native %s %s never reached the other side", m.Type, m.ID)
			}
			if !bridged && got != 0 && !echo {
				t.Errorf("the native %s %s reached the other side although nobody bridges that way", m.Type, m.ID)
			}
			if len(ids) > 1 && !(echo && w.aside()) {
				t.Errorf("the native %s %s is on the other side under the ids %v", m.Type, m.ID, ids)
			}
			if !slices.Contains(w.modes[:], translate.ReturningRestore) && !echo && got > copies {
				t.Errorf("the native %s %s is on the other side %d times, with %d relays that bridge that way", m.Type, m.ID, got, copies)
			}
		}
		checkBus(t, b, echo, !echo)
	}
}

// checkBus looks at one bus alone: which ids there are, and what they say.
func checkBus(t *testing.T, b *bus, echo, identical bool) {
	t.Helper()
	byID := map[string]message{}
	nativeIDs := map[string]bool{}
	for _, m := range b.messages {
		nativeIDs[m.ID] = nativeIDs[m.ID] || m.native
	}
	for _, m := range b.messages {
		if m.hops == 1 && nativeIDs[m.from] && m.from != m.ID && !echo {
			t.Errorf("the native %s is on its own bus again under the id %s:\n%s", m.from, m.ID, m.JSON)
		}
		before, ok := byID[m.ID]
		if !ok {
			byID[m.ID] = m
			continue
		}
		if string(before.JSON) != string(m.JSON) && identical && divergent[m.from] == "" {
			t.Errorf("one id, and two texts, of %q and %q:\n%s\n%s", before.by, m.by, before.JSON, m.JSON)
		}
	}
}

// checkIslands runs two buses of one protocol, each known to one relay only, around a bus of the other protocol.
func checkIslands(t *testing.T, protocol translate.Protocol, carry translate.Carry, mode translate.Returning, seed int64) {
	t.Helper()
	n := &network{t: t}
	middle := n.bus(protocol.Other())
	islands := []*bus{n.bus(protocol), n.bus(protocol)}
	for i, island := range islands {
		r := n.relay(fmt.Sprintf("relay %d", i), mode, carry, translate.NewMemoryLedger())
		r.join(island, middle)
		r.join(middle, island)
	}
	cd, eiffel := nativesHere(t)
	events := map[*bus][]string{}
	if protocol == translate.CDEvents {
		events[islands[0]], events[middle] = cd, eiffel
		for _, text := range cd {
			// The other island has a life of its own, in another place.
			events[islands[1]] = append(events[islands[1]], elsewhere(t, text))
		}
	} else {
		events[islands[0]], events[middle] = eiffel, cd
		for _, st := range parseScenarios(t, "elsewhere", "case x\nED east source https://east.example.com id 601\nArtC C pkg:oci/stock@3.0.0 id 602\nArtD C in east id 603")[0].steps {
			events[islands[1]] = append(events[islands[1]], st.text)
		}
	}
	chance := rand.New(rand.NewSource(seed))
	total := 0
	for k := range cd {
		for _, b := range n.buses {
			if k < len(events[b]) {
				n.inject(b, events[b][k])
				total++
			}
		}
		for range chance.Intn(8) {
			r := n.relays[chance.Intn(2)]
			n.step(r, r.routes[chance.Intn(2)])
		}
	}
	if !n.quiet(chance, 40*total) {
		return
	}
	for i, island := range islands {
		other := islands[1-i]
		for _, text := range events[island] {
			want := compact(t, text)
			e, err := translate.Decode([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			same := 0
			for _, m := range other.messages {
				if string(m.JSON) == want {
					same++
				}
				if m.hops == 1 && m.from == e.ID {
					t.Errorf("island %d got a translation of %s, not the original:\n%s", 1-i, e.ID, m.JSON)
				}
			}
			wanted := 0
			if mode == translate.ReturningRestore && carry == translate.CarryOriginal {
				wanted = 1
			}
			if same != wanted {
				t.Errorf("island %d got the original of %s %d times, want %d", 1-i, e.ID, same, wanted)
			}
			own := 0
			for _, m := range island.messages {
				if m.ID == e.ID {
					own++
				}
			}
			if own != 1 {
				t.Errorf("island %d has its own %s %d times", i, e.ID, own)
			}
		}
		// What is native in the middle reaches each island, translated, once.
		for _, text := range events[middle] {
			e, _ := translate.Decode([]byte(text))
			got := 0
			for _, m := range island.messages {
				if m.hops == 1 && m.from == e.ID {
					got++
				}
			}
			if got != 1 {
				t.Errorf("island %d got the translation of %s %d times", i, e.ID, got)
			}
		}
		checkBus(t, island, false, true)
	}
	checkBus(t, middle, false, true)
}

// elsewhere is an event of another environment, service and producer.
func elsewhere(t *testing.T, text string) string {
	t.Helper()
	return strings.NewReplacer("k8s.example.com/eu-1", "k8s.example.com/us-1", "ci.example.com", "ci.example.org",
		"6a1f0a3e-7d1c-4a52-9a43-", "6a1f0a3e-7d1c-4a52-9a44-", "0190a0b0-", "0190a0b1-", `"env-`, `"us-env-`, "oci/shop", "oci/cart",
		`"shop"`, `"cart"`, `"prod"`, `"west"`).Replace(text)
}

// TestIslands joins two buses of one protocol by a bus of the other: with restore each event is on the other island as
// it was, once (mapping.md, "Loops").
func TestIslands(t *testing.T) {
	for _, protocol := range []translate.Protocol{translate.CDEvents, translate.Eiffel} {
		for carryName, carry := range map[string]translate.Carry{"original": translate.CarryOriginal, "none": translate.CarryNone} {
			for modeName, mode := range map[string]translate.Returning{"restore": translate.ReturningRestore, "drop": translate.ReturningDrop} {
				t.Run(fmt.Sprintf("%s, %s, carry %s", protocol, modeName, carryName), func(t *testing.T) {
					for seed := range int64(4) {
						checkIslands(t, protocol, carry, mode, seed)
					}
				})
			}
		}
	}
}

// TestDroppedEventsTeach lets native events link to what only came round: drop gives no output and learns the facts.
func TestDroppedEventsTeach(t *testing.T) {
	for name, settings := range map[string]translate.Settings{
		"carry original": {Returning: translate.ReturningDrop},
		"carry none":     {Returning: translate.ReturningDrop, Carry: translate.CarryNone},
	} {
		t.Run(name, func(t *testing.T) {
			checkDroppedTeach(t, settings)
		})
	}
}

func checkDroppedTeach(t *testing.T, settings translate.Settings) {
	t.Helper()
	drop := func(s *translate.Session, r translate.Result) {
		t.Helper()
		for _, e := range r.Events {
			if r := through(t, s, string(e.JSON)); len(r.Events) != 0 || r.Returning != translate.ReturningDrop {
				t.Errorf("not dropped: %s", e.JSON)
			}
		}
	}
	// The other relay translated CDEvents; a native deployment links to the environment and the artifact that came of them.
	there, here := newSession(t, settings), newSession(t, settings)
	created := through(t, there, life(t)[0])
	deployed := through(t, there, life(t)[1])
	drop(here, created)
	drop(here, deployed)
	var s scribe
	s.t = t
	native := s.eiffel("EiffelArtifactDeployedEvent", "0.2.1", uuid(1), 1772700000000, "https://other.example.com", map[string]any{},
		eiffelLink{"ARTIFACT", eventOfType(t, deployed, "EiffelArtifactCreatedEvent").ID},
		eiffelLink{"ENVIRONMENT", only(t, created).ID},
		eiffelLink{"CAUSE", last(t, deployed).ID})
	got := only(t, through(t, here, native))
	want := map[string]string{
		"/subject/content/artifactId": "pkg:oci/shop@1.0.0?repository_url=ghcr.io%2Facme",
	}
	if settings.Carry != translate.CarryNone {
		want["/subject/id"] = "shop" // the same package runs there as this service
		want["/subject/content/environment/id"] = "prod"
		want["/context/links/1/target/contextId"] = "env-1"
		want["/context/chainId"] = "6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b00"
	}
	for pointer, value := range want {
		if have := field(t, got, pointer).Str(); have != value {
			t.Errorf("%s is %q, want %q in\n%s", pointer, have, value, got.JSON)
		}
	}

	// And the reverse: a native CDEvent speaks of an environment and an artifact that came from Eiffel events.
	there, here = newSession(t, settings), newSession(t, settings)
	var eds []string
	for _, text := range natives(t)[:3] {
		r := through(t, there, text)
		drop(here, r)
		eds = append(eds, only(t, r).ID)
	}
	r := through(t, here, goldenCDEvent(t, "native", "https://other.example.com", deployedType, "basket", "https://other.example.com", map[string]any{
		"environment": map[string]any{"id": "prod", "source": envSource}, "artifactId": "pkg:oci/shop@1.0.0",
	}))
	e := only(t, r) // nothing is made up: the ledger knows both
	if got := strings.Join(links(t, e), ", "); got != "ARTIFACT "+eds[1]+", ENVIRONMENT "+eds[0] {
		t.Errorf("the links are %s", got)
	}
}
