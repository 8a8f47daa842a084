package hostile

import (
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/uuid"
)

// tooLong is the code of an event that is identified by too long a text.
const tooLong = "id_too_long"

// serializer is that of this bridge: an event that bears it may have a mark that is believed.
const serializer = "pkg:golang/github.com/eiffelbridge/eiffelbridge@v1.0.0"

// id is the n-th of a series of ids of version 4.
func id(n int) string {
	number := strconv.Itoa(n)
	return "00000000-0000-4000-8000-000000000000"[:36-len(number)] + number
}

// madeID is the n-th of a series of ids that look as if the bridge had made them.
func madeID(n int) string { return fmt.Sprintf("00000000-0000-5000-8000-%012d", n) }

// The numbers of the ids: those of what events speak of begin at others.
const (
	self    = 1
	others  = 1000
	artC    = 900_000
	ed      = 910_000
	artD    = 920_000
	someone = 950_000
)

// newID is the id that the bridge gives to what it makes of the parts (mapping.md, "Ids"). The parts have nothing to escape.
func newID(parts ...string) string {
	namespace, _ := uuid.Parse("35d9d288-e001-578a-808e-3bc1e512cb78")
	sum := sha1.Sum(append(namespace[:], `["`+strings.Join(parts, `","`)+`"]`...))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return uuid.Format(sum[:16])
}

// fill joins what item writes with commas until it has that many bytes.
func fill(size int, item func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item(i))
	}
	return b.String()
}

// count is how many items fill writes.
func count(size int, item func(i int) string) int {
	n := 0
	for at := 0; at < size; n++ {
		if n > 0 {
			at++
		}
		at += len(item(n))
	}
	return n
}

// long is text of a size.
func long(size int, of string) string {
	return strings.Repeat(of, max(1, size/len(of)))
}

// room is how much of a size is left beside the rest of an event.
func room(size, rest int) int { return max(1, size-rest) }

// cd is a CDEvent; what is not said is as in any other.
type cd struct {
	name      string // subject.predicate; service.deployed if it is not said
	typ       string // the full type, where it is not that of the name
	id        string
	source    string
	timestamp string
	links     string // the elements
	subject   string // its id
	owner     string // its source
	content   string // the members
	custom    string // the members; none if it is empty
	data      string // customData, where it is no object
	more      string // members of context, each behind a comma
}

const (
	source      = "https://ci.example.com/job/deploy"
	environment = `{"id":"prod","source":"https://k8s.example.com/eu-1"}`
	custom      = "custom" // the name of an event of another tool, which has no row
	customType  = "dev.cdeventsx.tool-thing.happened.0.1.0"
	deployment  = `"environment":` + environment + `,"artifactId":"pkg:oci/checkout@1.0.0"`
)

// contents are what types cannot be without.
var contents = map[string]string{
	"service.deployed":    deployment,
	"testcaserun.queued":  `"environment":{"id":"empty"}`,
	"testcaserun.started": `"environment":{"id":"empty"}`,
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (e cd) text() []byte {
	e.name = or(e.name, "service.deployed")
	if e.name == custom {
		e.typ = customType
	}
	if e.typ == "" {
		subject, predicate, _ := strings.Cut(e.name, ".")
		typ, ok := schema.CDEventType("0.5", subject, predicate)
		if !ok {
			panic("no CDEvent is named " + e.name)
		}
		e.typ = typ
	}
	if e.content == "" {
		e.content = contents[e.name]
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"context":{"specversion":"0.5.1","id":"%s","source":"%s","type":"%s","timestamp":"%s"%s`, or(e.id, id(self)), or(e.source, source),
		e.typ, or(e.timestamp, "2026-03-01T09:00:00Z"), e.more)
	if e.links != "" {
		fmt.Fprintf(&b, `,"links":[%s]`, e.links)
	}
	fmt.Fprintf(&b, `},"subject":{"id":"%s","source":"%s","content":{%s}}`, or(e.subject, "checkout"), or(e.owner, source), e.content)
	if e.custom != "" {
		fmt.Fprintf(&b, `,"customData":{%s},"customDataContentType":"application/json"`, e.custom)
	}
	if e.data != "" {
		fmt.Fprintf(&b, `,"customData":%s`, e.data)
	}
	b.WriteByte('}')
	return []byte(b.String())
}

// ei is an Eiffel event; what is not said is as in any other.
type ei struct {
	typ        string // without Eiffel and Event
	full       string // the full type, where it is another
	version    string
	id         string
	time       string
	uri        string
	serializer string
	more       string // members of meta, each behind a comma
	data       string // the members but customData
	custom     string // the entries
	links      string // the elements behind those that the type requires
	bare       bool   // those that the type requires are left out
}

// requires are the links and the data that a type cannot be without, but for those to what is tested.
var requires = map[string]struct{ data, links string }{
	"ArtifactCreated":         {data: `"identity":"pkg:oci/checkout@1.0.0"`},
	"ArtifactDeployed":        {links: link("ARTIFACT", id(artC)) + "," + link("ENVIRONMENT", id(ed))},
	"EnvironmentDefined":      {data: `"name":"prod"`},
	"CompositionDefined":      {data: `"name":"all"`},
	"ConfidenceLevelModified": {data: `"name":"servicePublished","value":"SUCCESS"`, links: link("SUBJECT", id(artD))},
	"ActivityTriggered":       {data: `"name":"build"`},
	"ActivityStarted":         {links: link("ACTIVITY_EXECUTION", id(someone))},
	"TestCaseTriggered":       {data: `"testCase":{"id":"t"}`, links: link("IUT", id(artC))},
	"IssueVerified":           {links: link("IUT", id(artC))},
	"TestSuiteStarted":        {data: `"name":"suite"`},
	"SourceChangeSubmitted":   {},
	"ArtifactPublished":       {data: `"locations":[]`, links: link("ARTIFACT", id(artC))},
}

func (e ei) text() []byte {
	typ := "Eiffel" + e.typ + "Event"
	if e.version == "" && e.full == "" {
		version, ok := schema.EditionVersion("Orizaba", typ)
		if !ok {
			panic("no Eiffel event is named " + e.typ)
		}
		e.version = version
	}
	typ = or(e.full, typ)
	required := requires[e.typ]
	var data []string
	if d := or(e.data, required.data); d != "" {
		data = append(data, d)
	}
	if e.custom != "" {
		data = append(data, `"customData":[`+e.custom+`]`)
	}
	var links []string
	if !e.bare && required.links != "" {
		links = append(links, required.links)
	}
	if e.links != "" {
		links = append(links, e.links)
	}
	from := `"uri":"` + or(e.uri, source) + `"`
	if e.serializer != "" {
		from += `,"serializer":"` + e.serializer + `"`
	}
	return fmt.Appendf(nil, `{"meta":{"id":"%s","type":"%s","version":"%s","time":%s,"source":{%s}%s},"data":{%s},"links":[%s]}`,
		or(e.id, id(self)), typ, e.version, or(e.time, "1772355600000"), from, e.more, strings.Join(data, ","), strings.Join(links, ","))
}

func link(typ, target string) string { return `{"type":"` + typ + `","target":"` + target + `"}` }

// relation is a RELATION of a CDEvent; path and end are its other links.
func relation(kind, contextID string) string {
	return `{"linkType":"RELATION","linkKind":"` + kind + `","target":{"contextId":"` + contextID + `"}}`
}

func path(contextID string) string {
	return `{"linkType":"PATH","from":{"contextId":"` + contextID + `"}}`
}

func end(contextID string) string {
	return `{"linkType":"END","from":{"contextId":"` + contextID + `"}}`
}

// customEntry is an entry of an Eiffel event's custom data.
func customEntry(key, value string) string { return `{"key":"` + key + `","value":` + value + `}` }

// past writes n events.
func past(n int, event func(i int) []byte) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = event(i)
	}
	return out
}

// seeded makes choices that are always the same.
func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 7)) }
