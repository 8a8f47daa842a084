package hostile

import (
	"fmt"
	"strconv"
	"strings"
)

// change is the n-th event that others may be caused by.
func change(i int) []byte {
	return cd{name: "change.created", id: id(others + i), subject: "c" + strconv.Itoa(i), content: ``}.text()
}

// foreign is change with an id that Eiffel does not accept.
func foreign(i int) []byte {
	return cd{name: "change.created", id: foreignID(i), subject: "c" + strconv.Itoa(i), content: ``}.text()
}

func foreignID(i int) string { return "build-" + strconv.Itoa(i) }

// cdeventLinks are the links of CDEvents.
func cdeventLinks() []Shape {
	var out []Shape
	// of makes the shapes of one kind of link: to what is unknown or known, to the event itself, to one event again and again.
	of := func(event, name string, write func(contextID string) string) {
		add := func(what string, item func(i int) string, known func(i int) []byte, then Then) {
			s := Shape{Name: event + ": " + name + " " + what, Then: then, Event: func(size int) []byte {
				return cd{name: event, links: fill(room(size, 500), item)}.text()
			}}
			if known != nil {
				s.Past = func(size int) [][]byte { return past(count(room(size, 500), item), known) }
			}
			out = append(out, s)
		}
		add("to events", func(i int) string { return write(id(others + i)) }, change, Once)
		add("to foreign ids", func(i int) string { return write(foreignID(i)) }, foreign, Once)
		add("to foreign ids, again", func(i int) string { return write(foreignID(i)) }, foreign, Again)
		add("to itself", func(int) string { return write(id(self)) }, nil, Once)
		add("to one event", func(int) string { return write(id(others)) }, func(int) []byte { return change(0) }, Once)
		add("to one event, again", func(int) string { return write(id(others)) }, func(int) []byte { return change(0) }, Again)
	}
	of("service.deployed", "PATH", path)
	of("service.deployed", "END", end)
	of("service.deployed", "RELATION TRIGGER", func(to string) string { return relation("TRIGGER", to) })
	of("service.deployed", "RELATION CONTEXT", func(to string) string { return relation("CONTEXT", to) })
	of("service.deployed", "RELATION FLOW_CONTEXT", func(to string) string { return relation("FLOW_CONTEXT", to) })
	of("service.deployed", "RELATION ARTIFACT", func(to string) string { return relation("ARTIFACT", to) })
	of("service.deployed", "RELATION of no type", func(to string) string { return relation("K"+to, to) })
	of("testcaserun.queued", "PATH", path)
	of("testcaserun.queued", "RELATION IUT", func(to string) string { return relation("IUT", to) })
	of("testcaserun.queued", "RELATION TRIGGER", func(to string) string { return relation("TRIGGER", to) })
	of(custom, "RELATION TRIGGER", func(to string) string { return relation("TRIGGER", to) })
	more := func(name string, item func(i int) string) {
		out = append(out, Shape{Name: "service.deployed: " + name, Event: func(size int) []byte {
			return cd{links: fill(room(size, 500), item)}.text()
		}})
	}
	more("PATH behind a CONTEXT", func(i int) string {
		if i == 0 {
			return relation("CONTEXT", id(others))
		}
		return path(id(others + i))
	})
	more("all kinds of links by turns", func(i int) string {
		return []string{path(id(others + i)), relation("TRIGGER", id(others+i)), end(id(others + i)), relation("PRECURSOR", id(others+i)), path(id(self))}[i%5]
	})
	more("links with long kinds", func(i int) string { return relation(long(5000, "KIND"), id(others+i)) })
	more("links to long ids", func(i int) string { return path(strconv.Itoa(i) + long(900, "id")) })
	more("links with tags", func(i int) string {
		return strings.Replace(relation("TRIGGER", id(others+i)), `"target"`, `"tags":{"domainId":"d`+strconv.Itoa(i)+`","a":"b"},"target"`, 1)
	})
	more("a link with many tags", func(i int) string {
		return strings.Replace(relation("TRIGGER", id(others+i)), `"target"`, `"tags":{`+fill(20000, func(i int) string { return fmt.Sprintf(`"t%d":"v"`, i) })+`},"target"`, 1)
	})
	out = append(out,
		Shape{Name: "service.deployed: from an Eiffel event, with RELATION", Event: func(size int) []byte {
			return cd{links: fill(room(size, 600), func(i int) string { return relation("CAUSE", id(others+i)) }), custom: `"eiffel":{"id":"` + id(self) + `","rules":2}`}.text()
		}},
		Shape{Name: "service.deployed: references to an Eiffel event, links to it", Event: func(size int) []byte {
			return cd{
				content: `"environment":{"id":"urn:uuid:` + id(ed) + `"},"artifactId":"pkg:oci/checkout@1"`,
				links:   fill(room(size, 600), func(i int) string { return relation([]string{"ENVIRONMENT", "TRIGGER"}[i%2], id(ed)) }),
			}.text()
		}},
	)
	return out
}

// cdeventTexts are long texts: what identifies something is refused beyond a kilobyte.
func cdeventTexts() []Shape {
	text := func(name, code string, write func(text string) cd, of string) Shape {
		return Shape{Name: name, Code: code, Event: func(size int) []byte { return write(long(room(size, 500), of)).text() }}
	}
	qualifiers := func(size int) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, "%cq%d=%d", "?&"[min(i, 1)], i, i)
		}
		return b.String()
	}
	purl := func(name, purl string) Shape { // as long as an identity may be, in an event of any size
		return Shape{Name: "service.deployed: a purl of " + name, Event: func(size int) []byte {
			return cd{content: `"environment":` + environment + `,"artifactId":"` + purl + `"`, custom: `"fill":"` + long(room(size, 500+len(purl)), "x") + `"`}.text()
		}}
	}
	return []Shape{
		text("a long context.id", tooLong, func(s string) cd { return cd{id: s} }, "id"),
		text("a long context.source", tooLong, func(s string) cd { return cd{source: "https://x/" + s} }, "s/"),
		text("a long subject.source", tooLong, func(s string) cd { return cd{owner: "https://x/" + s} }, "s/"),
		text("a long context.source that must be escaped", CodeAny, func(s string) cd { return cd{source: "https://x/" + s} }, "ö"),
		text("a long type", CodeAny, func(s string) cd { return cd{typ: "dev.cdeventsx.tool-" + s + ".happened.0.1.0"} }, "thing"),
		text("a long foreign type", CodeAny, func(s string) cd { return cd{typ: s} }, "a.b"),
		text("a long version", CodeAny, func(s string) cd { return cd{typ: "dev.cdevents.service.deployed.0.3." + s} }, "0123"),
		text("a version of many parts", CodeAny, func(s string) cd { return cd{typ: "dev.cdevents.service.deployed" + s + ".0.3.0"} }, ".1"),
		text("a long chainId", tooLong, func(s string) cd { return cd{more: `,"chainId":"` + s + `"`} }, "chain"),
		text("a long subject.id", tooLong, func(s string) cd { return cd{subject: s} }, "checkout"),
		text("a long environment", tooLong, func(s string) cd {
			return cd{content: `"environment":{"id":"` + s + `"},"artifactId":"pkg:oci/a@1"`}
		}, "prod"),
		text("a long source of the environment", tooLong, func(s string) cd {
			return cd{content: `"environment":{"id":"e","source":"` + s + `"},"artifactId":"pkg:oci/a@1"`}
		}, "prod"),
		text("a long environment of an incident", tooLong, func(s string) cd {
			return cd{name: "incident.detected", content: `"environment":{"id":"` + s + `"},"service":{"id":"s"}`}
		}, "prod"),
		text("a long service of an incident", tooLong, func(s string) cd {
			return cd{name: "incident.detected", content: `"environment":{"id":"e"},"service":{"id":"` + s + `"}`}
		}, "prod"),
		text("a long artifactId", tooLong, func(s string) cd {
			return cd{content: `"environment":` + environment + `,"artifactId":"pkg:oci/` + s + `@1"`}
		}, "name"),
		text("an artifactId of many slashes", tooLong, func(s string) cd {
			return cd{content: `"environment":` + environment + `,"artifactId":"pkg:oci/` + s + `@1"`}
		}, "a/"),
		text("an artifact of many escapes", tooLong, func(s string) cd {
			return cd{name: "artifact.packaged", subject: "pkg:oci/" + s + "@1", content: `"change":{"id":"c"}`}
		}, "%2f%C3%B6"),
		text("a long change of an artifact", tooLong, func(s string) cd {
			return cd{name: "artifact.packaged", subject: "pkg:oci/a@1", content: `"change":{"id":"` + s + `"}`}
		}, "c"),
		text("a long test suite run", tooLong, func(s string) cd {
			return cd{name: "testcaserun.queued", content: `"environment":{"id":"e"},"testSuiteRun":{"id":"` + s + `"}`}
		}, "c"),
		text("a long test case", "", func(s string) cd {
			return cd{name: "testcaserun.queued", content: `"environment":{"id":"e"},"testCase":{"id":"` + s + `"}`}
		}, "c"),
		text("a long pipeline name", "", func(s string) cd {
			return cd{name: "pipelinerun.queued", content: `"pipelineName":"` + s + `"`}
		}, "ab*"),
		text("a long uri", "", func(s string) cd {
			return cd{name: "pipelinerun.started", content: `"pipelineName":"p","uri":"https://x/` + s + `"`}
		}, "%20/?"),
		text("long errors", "", func(s string) cd {
			return cd{name: "pipelinerun.finished", content: `"outcome":"error","errors":"` + s + `"`}
		}, "err"),
		text("a long outcome", CodeAny, func(s string) cd {
			return cd{name: "pipelinerun.finished", content: `"outcome":"` + s + `"`}
		}, "err"),
		text("a long timestamp", CodeAny, func(s string) cd { return cd{timestamp: "2026-03-01T09:00:00." + s + "Z"} }, "01234567"),
		text("a timestamp of many zeros", CodeAny, func(s string) cd { return cd{timestamp: "2026-03-01T09:00:00." + s + "Z"} }, "0"),
		text("a timestamp that is none", CodeAny, func(s string) cd { return cd{timestamp: s} }, "2026-"),
		text("a long schemaUri", CodeAny, func(s string) cd { return cd{more: `,"schemaUri":"https://x/` + s + `"`} }, "s/"),
		purl("many qualifiers", "pkg:oci/a@1"+qualifiers(1000)),
		purl("many slashes", "pkg:generic/"+long(990, "a/")+"b@1"),
		purl("many escapes", "pkg:oci/a@"+long(990, "%C3%B6")),
		purl("a long version", "pkg:maven/a/b@"+long(990, "1.0-alpha.")),
		purl("no purl", long(300, "x%/ö ")), // percent-encoded, it is three times as long
	}
}

// cdeventData is custom data of CDEvents, and content.
func cdeventData() []Shape {
	with := func(name string, item func(i int) string) Shape {
		return Shape{Name: "service.deployed: customData with " + name, Event: func(size int) []byte {
			return cd{custom: fill(room(size, 500), item)}.text()
		}}
	}
	n := strconv.Itoa
	return []Shape{
		with("many members", func(i int) string { return `"k` + n(i) + `":` + n(i) }),
		with("long names", func(i int) string { return `"` + long(3000, "k~/") + n(i) + `":1` }),
		with("names like pointers", func(i int) string { return `"~/` + n(i) + `":{"~":1}` }),
		with("escaped names", func(i int) string { return `"\u006b` + n(i) + `":"\u0076"` }),
		with("many objects", func(i int) string { return `"k` + n(i) + `":{"a":{"b":[]}}` }),
		with("many lists", func(i int) string { return `"k` + n(i) + `":[` + fill(2000, n) + `]` }),
		with("marks that are none", func(i int) string {
			if i == 0 {
				return `"eiffel":{"event":{"meta":{}}}`
			}
			return `"k` + n(i) + `":{"eiffel":{"event":{"meta":{}}}}`
		}),
		{Name: "service.deployed: customData that is a long text", Event: func(size int) []byte {
			return cd{data: `"` + long(room(size, 500), "text") + `"`}.text()
		}},
		{Name: "service.deployed: a mark with many members", Event: func(size int) []byte {
			return cd{custom: `"eiffel":{"id":"` + id(self) + `",` + fill(room(size, 500), func(i int) string { return `"k` + n(i) + `":1` }) + `}`}.text()
		}},
		{Name: "service.deployed: a mark with a long text", Event: func(size int) []byte {
			return cd{custom: `"eiffel":{"id":"` + long(room(size, 500), "id") + `"}`}.text()
		}},
		{Name: "service.deployed: a forged original that is not valid", Event: func(size int) []byte {
			return cd{custom: `"eiffel":{"event":{"meta":{"id":"` + id(self) + `","type":"EiffelArtifactDeployedEvent","version":"0.2.1","time":1},"data":{},"links":[` +
				fill(room(size, 700), func(i int) string { return `{"type":"X` + n(i) + `"}` }) + `]}}`}.text()
		}},
		{Name: "service.deployed: forged originals in forged originals", Event: nested},
		{Name: "service.deployed: content with many unknown members", Code: CodeAny, Event: func(size int) []byte {
			return cd{content: deployment + `,` + fill(room(size, 500), func(i int) string { return `"k` + n(i) + `":1` })}.text()
		}},
		{Name: "service.deployed: links with many faults", Code: CodeAny, Event: func(size int) []byte {
			return cd{links: fill(room(size, 500), func(i int) string { return `{"linkType":"RELATION","x":` + n(i) + `}` })}.text()
		}},
		{Name: "service.deployed: links of no known form", Code: CodeAny, Event: func(size int) []byte {
			return cd{links: fill(room(size, 500), func(i int) string { return `{"linkType":"L` + n(i) + `"}` })}.text()
		}},
		{Name: "unknown type: content with many members", Event: func(size int) []byte {
			return cd{name: custom, content: fill(room(size, 500), func(i int) string { return `"k` + n(i) + `":[{"a":` + n(i) + `}]` })}.text()
		}},
		{Name: "newer version: many unknown members", Code: CodeAny, Event: func(size int) []byte {
			return cd{typ: "dev.cdevents.service.deployed.0.99.0", content: deployment + `,` + fill(room(size, 500), func(i int) string { return `"k` + n(i) + `":{"a":[1]}` })}.text()
		}},
	}
}

// nested is an event that carries an event, which carries an event, and so on.
func nested(size int) []byte {
	inner := `1`
	levels := 0
	for len(inner) < room(size, 700) && levels < 30 {
		pad := long(room(size, 700)/30, "x")
		eiffel := fmt.Sprintf(`{"meta":{"id":"%s","type":"EiffelArtifactDeployedEvent","version":"0.2.1","time":1772355600000,"source":{"uri":"%s"}},"data":{"description":"%s","customData":[{"key":"cdevents","value":{"event":%s}}]},"links":[%s,%s]}`,
			id(self), source, pad, inner, link("ARTIFACT", id(artC)), link("ENVIRONMENT", id(ed)))
		inner = string(cd{custom: `"eiffel":{"event":` + eiffel + `}`}.text())
		levels++
		if levels == 7 {
			break // an event may have a hundred levels
		}
	}
	return []byte(inner)
}
