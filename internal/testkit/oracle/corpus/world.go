package corpus

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

// world is what the events of one stream speak about: few subjects, so that events meet, and all events so far. All choices
// come from its seed.
type world struct {
	*rand.Rand
	now   int64
	spec  string // of most CDEvents
	plain int    // of 10: how often what is odd in a text or a time is left out

	sources  []string
	subjects map[string]int // how many ids of a kind there are by now
	packages []product
	version  int // of the newest artifact
	chains   []string

	steps   []stream.Step
	texts   []made
	targets map[string][]target // by Eiffel type: what links may lead to
	ids     []string            // of all events, as context ids
	uuids   int

	ref []stream.Ref // of the event that is being made
}

// made is an event of the stream that may come again.
type made struct {
	step stream.Step
	at   int
}

// target is an Eiffel event: one of the stream, or an output of a step.
type target struct {
	id  string
	out *stream.Output
}

// product is a package, with the purl of each of its versions.
type product struct {
	name string
	purl func(n int) string
}

var products = []product{
	{"shop", func(n int) string { return fmt.Sprintf("pkg:oci/shop@1.%d.0?repository_url=ghcr.io/acme", n) }},
	{"shop digests", func(n int) string {
		return fmt.Sprintf("pkg:oci/shop@sha256%%3A%064x?repository_url=ghcr.io/acme&tag=1.%d.0", n*7919+1, n)
	}},
	{"digests without tags", func(n int) string { return fmt.Sprintf("pkg:oci/pay@sha256:%064x", n*104729+5) }},
	{"tags", func(n int) string { return fmt.Sprintf("pkg:docker/acme/cart@v%d.%d.0?tag=%d", n/5, n%5, n) }},
	{"maven", func(n int) string {
		return fmt.Sprintf("pkg:maven/com.acme/ledger@1.%d%s", n/2, []string{"", "-SNAPSHOT"}[n%2])
	}},
	{"deb", func(n int) string {
		return fmt.Sprintf("pkg:deb/debian/agent@1:%d.%d-%d~rc%d?arch=amd64", n/7, n%7, n%3, n%2)
	}},
	{"rpm", func(n int) string { return fmt.Sprintf("pkg:rpm/fedora/agent@2.%d-1.fc%d?epoch=1", n, 20+n%3) }},
	{"pypi", func(n int) string {
		return fmt.Sprintf("pkg:pypi/tool@1.%d%s", n, []string{"", "rc1", ".post1", ".dev3"}[n%4])
	}},
	{"gem", func(n int) string { return fmt.Sprintf("pkg:gem/tool@0.%d.1%s", n, []string{"", ".pre"}[n%2]) }},
	{"npm", func(n int) string {
		return fmt.Sprintf("pkg:npm/%%40acme/checkout@3.%d.0%s", n, []string{"", "-rc.1", "-rc.2+build"}[n%3])
	}},
	{"golang", func(n int) string {
		return fmt.Sprintf("pkg:golang/example.com/ledger@v1.%d.0#cmd/ledger", n)
	}},
	{"cargo", func(n int) string { return fmt.Sprintf("pkg:cargo/thing@0.%d.%d", n/3, n%3) }},
	{"helm", func(n int) string { return fmt.Sprintf("pkg:helm/acme/chart@%d.0.0", n) }},
	{"bare numbers", func(n int) string { return fmt.Sprintf("pkg:generic/firmware@%d", n) }},
	{"described", func(n int) string { return fmt.Sprintf("pkg:generic/firmware@v1.2.%d-%d-g%07x", n, n, n*9973) }},
	{"downloads", func(n int) string {
		return fmt.Sprintf("pkg:generic/image@1.%d?download_url=https://dl.example.com/%d.img&checksum=sha1:%x&file_name=i.img", n, n, n)
	}},
	{"no purl", func(n int) string { return fmt.Sprintf("shop:%d.0 (nightly, ü)", n) }},
	{"odd", func(n int) string {
		return []string{"pkg:", "pkg:NPM/Foo@1", "pkg:oci/shop", "pkg:golang/github.com/a/b@v1.0.0+incompatible?x=%zz", "pkg:oci/shop@latest"}[n%5]
	}},
}

var allSources = []string{
	"https://ci.example.com/a", "https://ci.example.com/b?x=1#y", "https://k8s.example.com/eu", "urn:x:y", "/relative", "//host/path", "a%20b", "https://git.example.com",
}

func newWorld(seed uint64) *world {
	w := &world{
		Rand: rand.New(rand.NewPCG(seed, 0x5eed)), now: 1772355600000, spec: "0.5", subjects: map[string]int{}, targets: map[string][]target{},
	}
	w.plain = 7 + w.IntN(4)
	w.spec = w.pick("0.5", "0.5", "0.5", "0.4", "0.3")
	for _, at := range w.Perm(len(allSources))[:1+w.IntN(3)] {
		w.sources = append(w.sources, allSources[at])
	}
	for _, at := range w.Perm(len(products))[:1+w.IntN(4)] {
		w.packages = append(w.packages, products[at])
	}
	return w
}

func (w *world) pick(from ...string) string { return from[w.IntN(len(from))] }

// chance is true n times of a hundred.
func (w *world) chance(n int) bool { return w.IntN(100) < n }

// odd is true n times of a hundred in a world that is not plain.
func (w *world) odd(n int) bool { return w.IntN(10) >= w.plain && w.chance(n*3) }

// uuid makes a UUID that no other event of the stream has.
func (w *world) uuid(version byte) string {
	w.uuids++
	return fmt.Sprintf("%08x-%04x-%c%03x-%c%03x-%012x", w.Uint32(), w.IntN(1<<16), version, w.IntN(1<<12), "89ab"[w.IntN(4)], w.IntN(1<<12), w.uuids)
}

// eventID is an id as one tool or another makes it.
func (w *world) eventID() string {
	switch w.IntN(12) {
	case 0, 1:
		return w.uuid('7')
	case 2:
		w.uuids++
		return fmt.Sprintf("evt-%d", w.uuids)
	case 3:
		return strings.ToUpper(w.uuid('4'))
	case 4:
		w.uuids++
		return fmt.Sprintf("%s %d", w.pick("a b", "é\"\\", "😀/%7E", "line\nbreak", "\u2028<&>"), w.uuids)
	case 5:
		return w.uuid("1235"[w.IntN(4)])
	}
	return w.uuid('4')
}

// subject is the id of a subject of a kind, of which there are ever more.
func (w *world) subject(kind string) string {
	if kind == "artifact" {
		return w.artifact()
	}
	if w.odd(5) {
		return w.pick("urn:uuid:"+w.uuid('4'), "a b/ü?#%", "https://example.com/things/7", "😀\"\\\n", w.uuid('4'))
	}
	if w.chance(3) {
		if id := w.anyID(); id != "" {
			return "urn:uuid:" + id
		}
	}
	switch kind {
	case "environment":
		return w.pick("prod", "prod", "stage")
	case "service":
		if w.chance(15) { // as the bridge names the service of a deployment
			return strings.SplitN(w.packages[0].purl(1), "@", 2)[0]
		}
		return w.pick("shop", "shop", "cart")
	}
	if w.subjects[kind] == 0 || w.chance(20) {
		w.subjects[kind]++
	}
	return fmt.Sprintf("%s-%d", kind, max(1, w.subjects[kind]-w.IntN(3)))
}

// artifact is an artifact's identity: mostly a newer version of one of few packages, or one of the last few.
func (w *world) artifact() string {
	if w.odd(4) {
		return w.pick("", "sha256:0b31b1c0", "urn:uuid:"+w.uuid('4'), "an artifact, ü")
	}
	if w.chance(25) {
		w.version++
	}
	p := w.packages[w.IntN(len(w.packages))]
	return p.purl(max(0, w.version-w.IntN(4)))
}

func (w *world) source() string {
	if w.odd(4) {
		return w.pick(allSources...)
	}
	return w.pick(w.sources...)
}

// tick moves the time on and gives the time of the next event, which is now and then late, or the same again.
func (w *world) tick() int64 {
	switch {
	case w.chance(10):
		return w.now - int64(w.IntN(1+w.IntN(3600000)))
	case w.chance(6):
		return w.now
	}
	w.now += int64(1 + w.IntN(60000))
	return w.now
}

// timestamp is a time of RFC 3339 in one of the many ways of writing it.
func (w *world) timestamp() string {
	at := time.UnixMilli(w.tick()).UTC()
	if !w.odd(20) {
		switch w.IntN(4) {
		case 0:
			return at.Format("2006-01-02T15:04:05Z")
		case 1:
			return at.In(time.FixedZone("", 5400)).Format("2006-01-02T15:04:05.000Z07:00")
		}
		return at.Format("2006-01-02T15:04:05.000Z")
	}
	switch w.IntN(9) {
	case 0:
		return at.Add(123456 * time.Nanosecond).Format("2006-01-02T15:04:05.000000000Z")
	case 1:
		return at.In(time.FixedZone("", -34200)).Format("2006-01-02T15:04:05.0Z07:00")
	case 2:
		return strings.ToLower(at.Format("2006-01-02T15:04:05.00Z"))
	case 3:
		return "2016-12-31T23:59:60." + fmt.Sprint(w.IntN(1000)) + "Z"
	case 4:
		return "1969-12-31T23:59:59.9999999Z"
	case 5:
		return w.pick("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2017-01-01T08:59:60+09:00")
	case 6:
		return w.pick("9999-12-31T23:59:59-05:00", "0000-01-01T00:00:00+05:00", "2026-02-30T00:00:00Z", "2026-03-01 09:00:00Z", "tomorrow")
	}
	return at.Format("2006-01-02T15:04:05.000") + "-00:00"
}

// millis is meta.time.
func (w *world) millis() string {
	at := fmt.Sprint(w.tick())
	if !w.odd(10) {
		return at
	}
	return w.pick("0", "-1", "-62135596800000", "1700000000", "253402300799999", at+".0", "1772355600e3", "17723556e5", "253402300800000", "-62167219200001", "1e30", at+".5")
}

// link is a link of an Eiffel event, to a target of one of these types.
func (w *world) target(types []string) string {
	if w.chance(8) {
		return w.uuid("45123"[w.IntN(5)])
	}
	var legal []target
	if types == nil {
		for _, t := range schema.EiffelTypes() {
			legal = append(legal, w.targets[t]...)
		}
	}
	for _, t := range types {
		legal = append(legal, w.targets[t]...)
	}
	if len(legal) == 0 {
		return w.uuid('4')
	}
	at := len(legal) - 1 - min(w.IntN(4), w.IntN(len(legal)), len(legal)-1)
	if w.chance(30) {
		at = w.IntN(len(legal))
	}
	return w.idOf(legal[at])
}

// idOf is the id that an event may write for a target: its own, or what stands for the id of an output.
func (w *world) idOf(t target) string {
	if t.out == nil {
		return t.id
	}
	id := fmt.Sprintf("0dd0%04x-0000-4000-8000-%012x", t.out.Number&0xffff, t.out.Step)
	if !slices.ContainsFunc(w.ref, func(r stream.Ref) bool { return r.ID == id }) {
		w.ref = append(w.ref, stream.Ref{ID: id, Output: *t.out})
	}
	return id
}

// anyID is the id of an Eiffel event of the stream, "" if there is none.
func (w *world) anyID() string {
	var all []target
	for _, t := range schema.EiffelTypes() {
		all = append(all, w.targets[t]...)
	}
	if len(all) == 0 {
		return ""
	}
	return w.idOf(all[len(all)-1-min(w.IntN(12), len(all)-1)])
}

// contextID is what a CDEvent's link points to.
func (w *world) contextID() string {
	switch {
	case w.chance(10) || len(w.ids) == 0:
		return w.pick(w.uuid('4'), "nobody", w.uuid('7'))
	case w.chance(20):
		if id := w.anyID(); id != "" {
			return id
		}
	}
	return w.ids[len(w.ids)-1-min(w.IntN(1+w.IntN(30)), len(w.ids)-1)]
}

// becomes are the Eiffel types of the main output of a CDEvent and of what may be made up before it, first to last.
var becomes = map[string][]string{
	"environment.created": {"EiffelEnvironmentDefinedEvent"}, "environment.modified": {"EiffelEnvironmentDefinedEvent"},
	"service.deployed":   {"EiffelArtifactCreatedEvent", "EiffelEnvironmentDefinedEvent", "EiffelArtifactDeployedEvent"},
	"service.upgraded":   {"EiffelArtifactCreatedEvent", "EiffelArtifactDeployedEvent"},
	"service.rolledback": {"EiffelArtifactDeployedEvent"},
	"artifact.packaged":  {"EiffelArtifactCreatedEvent"}, "artifact.published": {"EiffelArtifactCreatedEvent", "EiffelArtifactPublishedEvent"},
	"change.created": {"EiffelSourceChangeCreatedEvent"}, "change.updated": {"EiffelSourceChangeCreatedEvent"},
	"change.merged": {"EiffelSourceChangeSubmittedEvent"}, "change.reviewed": {"EiffelSourceChangeCreatedEvent", "EiffelConfidenceLevelModifiedEvent"},
	"pipelinerun.queued": {"EiffelActivityTriggeredEvent"}, "build.queued": {"EiffelActivityTriggeredEvent"},
	"pipelinerun.started": {"EiffelActivityTriggeredEvent", "EiffelActivityStartedEvent"}, "taskrun.started": {"EiffelActivityTriggeredEvent", "EiffelActivityStartedEvent"},
	"testsuiterun.queued": {"EiffelActivityTriggeredEvent"}, "testsuiterun.started": {"EiffelTestSuiteStartedEvent"},
	"testcaserun.queued": {"EiffelCompositionDefinedEvent", "EiffelTestCaseTriggeredEvent"}, "testcaserun.started": {"EiffelTestCaseTriggeredEvent", "EiffelTestCaseStartedEvent"},
	"ticket.created": {"EiffelIssueDefinedEvent"}, "ticket.updated": {"EiffelIssueDefinedEvent"}, "incident.detected": {"EiffelAnnouncementPublishedEvent"},
}

// put adds an event to the stream.
func (w *world) put(text []byte, to string) {
	step := stream.Of(text)
	step.To, step.Refs = to, w.ref
	w.ref = nil
	w.steps = append(w.steps, step)
	w.texts = append(w.texts, made{step, len(w.steps) - 1})
}
