package hostile

import (
	"fmt"
	"strconv"
	"strings"
)

// composition is the n-th Eiffel event that others may link to.
func composition(i int) []byte { return ei{typ: "CompositionDefined", id: id(others + i)}.text() }

// submitted is the n-th change.
func submitted(i int) []byte {
	return ei{typ: "SourceChangeSubmitted", id: id(others + i), data: fmt.Sprintf(`"gitIdentifier":{"commitId":"c%d","repoUri":"https://git.example.com/shop","repoName":"shop"}`, i)}.text()
}

// eiffelLinks are the links of Eiffel events.
func eiffelLinks() []Shape {
	var out []Shape
	of := func(typ, linkType, name string, known func(i int) []byte) {
		add := func(what string, item func(i int) string, known func(i int) []byte, then Then) {
			s := Shape{Name: typ + ": " + linkType + " " + strings.ReplaceAll(what, "event", name), Then: then, Event: func(size int) []byte {
				return ei{typ: typ, links: fill(room(size, 400), item)}.text()
			}}
			if known != nil {
				s.Past = func(size int) [][]byte { return past(count(room(size, 400), item), known) }
			}
			out = append(out, s)
		}
		each := func(i int) string { return link(linkType, id(others+i)) }
		add("to events", each, known, Once)
		add("to events, again", each, known, Again)
		add("to itself beside "+name+"s", func(int) string { return link(linkType, id(self)) }, nil, Once)
		add("to one event", func(int) string { return link(linkType, id(others)) }, func(int) []byte { return known(0) }, Once)
	}
	of("ArtifactDeployed", "CAUSE", "composition", composition)
	of("ActivityTriggered", "CAUSE", "composition", composition)
	of("ActivityTriggered", "FLOW_CONTEXT", "composition", composition)
	of("ActivityTriggered", "PRECURSOR", "composition", composition)
	of("CompositionDefined", "ELEMENT", "change", submitted)
	of("ArtifactCreated", "CAUSE", "change", submitted)
	of("ArtifactCreated", "CAUSE", "composition", composition)
	of("ArtifactCreated", "PREVIOUS_VERSION", "change", submitted)
	of("ConfidenceLevelModified", "SUBJECT", "composition", composition)
	of("ConfidenceLevelModified", "SUBJECT", "change", submitted)
	of("EnvironmentDefined", "PREVIOUS_VERSION", "composition", composition)
	of("TestCaseTriggered", "CAUSE", "composition", composition)
	of("TestSuiteStarted", "CAUSE", "composition", composition)
	of("SourceChangeSubmitted", "PREVIOUS_VERSION", "change", submitted)
	out = append(out,
		Shape{Name: "ConfidenceLevelModified: SUBJECT to compositions, of a review", Event: func(size int) []byte {
			return ei{typ: "ConfidenceLevelModified", data: `"name":"changeReviewed","value":"SUCCESS"`,
				links: fill(room(size, 400), func(i int) string { return link("SUBJECT", id(others+i)) })}.text()
		}, Past: func(size int) [][]byte {
			return past(count(room(size, 400), func(i int) string { return link("SUBJECT", id(others+i)) }), composition)
		}},
		Shape{Name: "ArtifactDeployed: links that are not legal", Code: CodeAny, Event: func(size int) []byte {
			return ei{typ: "ArtifactDeployed", links: fill(room(size, 400), func(i int) string { return link("X"+strconv.Itoa(i), id(others+i)) })}.text()
		}},
		Shape{Name: "ArtifactDeployed: links that may be there once", Code: CodeAny, Event: func(size int) []byte {
			return ei{typ: "ArtifactDeployed", links: fill(room(size, 400), func(i int) string { return link("CONTEXT", id(others+i)) })}.text()
		}},
		Shape{Name: "ArtifactDeployed: links without a target", Code: CodeAny, Event: func(size int) []byte {
			return ei{typ: "ArtifactDeployed", links: fill(room(size, 400), func(i int) string { return link("CAUSE", "x"+strconv.Itoa(i)) })}.text()
		}},
		Shape{Name: "ArtifactDeployed: links with long domains", Event: func(size int) []byte {
			return ei{typ: "ArtifactDeployed", links: fill(room(size, 400), func(i int) string {
				return strings.Replace(link("CAUSE", id(others+i)), `"target"`, `"domainId":"`+long(2000, "d.")+`","target"`, 1)
			})}.text()
		}},
		Shape{Name: "unknown Eiffel type: many links", Event: func(size int) []byte {
			return ei{full: "EiffelThingHappenedEvent", version: "1.0.0", links: fill(room(size, 400), func(i int) string { return link("CAUSE", id(others+i)) })}.text()
		}},
		Shape{Name: "unknown Eiffel type: many links that are none", Code: CodeAny, Event: func(size int) []byte {
			return ei{full: "EiffelThingHappenedEvent", version: "1.0.0", links: fill(room(size, 400), func(i int) string { return `{"type":"X","target":"` + strconv.Itoa(i) + `"}` })}.text()
		}},
		Shape{Name: "newer Eiffel version: many links that are not legal", Code: CodeAny, Event: func(size int) []byte {
			return ei{typ: "ArtifactDeployed", version: "0.99.0", links: fill(room(size, 400), func(i int) string { return link("X"+strconv.Itoa(i), id(others+i)) })}.text()
		}},
	)
	return out
}

// eiffelMarks are marks and envelopes in Eiffel events.
func eiffelMarks() []Shape {
	var out []Shape
	n := strconv.Itoa
	add := func(name string, event func(size int) ei) {
		out = append(out, Shape{Name: name, Event: func(size int) []byte {
			e := event(size)
			e.serializer = or(e.serializer, serializer)
			return e.text()
		}})
	}
	types := []struct{ typ, data string }{
		{"CompositionDefined", ""}, {"EnvironmentDefined", ""}, {"ArtifactCreated", `"identity":"pkg:oci/` + long(1000, "a") + `@1"`}, {"ArtifactCreated", `"identity":"pkg:generic/` + long(900, "%C3%B6") + `@1"`},
		{"ActivityTriggered", ""}, {"TestSuiteStarted", ""}, {"TestCaseTriggered", ""}, {"SourceChangeSubmitted", ""}, {"ConfidenceLevelModified", ""},
	}
	marks := map[string]func(i int) string{
		"marks of the first version": func(i int) string { return customEntry("cdevents", `{"synthesizedFor":"x`+n(i)+`"}`) },
		"marks": func(i int) string {
			return customEntry("cdevents", `{"synthesizedFor":"x`+n(i)+`","type":"dev.cdevents.testcaserun.queued.0.3.0","role":"IUT","rules":2}`)
		},
		"marks with long texts": func(i int) string {
			return customEntry("cdevents", `{"synthesizedFor":"`+long(1000, "x")+`","type":"`+long(1000, "t")+`","role":"`+long(1000, "r")+`"}`)
		},
		"marks with an id":        func(i int) string { return customEntry("cdevents", `{"id":"x`+n(i)+`","rules":2}`) },
		"marks that are none":     func(i int) string { return customEntry("cdevents", `{"x":`+n(i)+`}`) },
		"originals that are none": func(i int) string { return customEntry("cdevents", `{"event":{"x":`+n(i)+`}}`) },
		"subjects beside their marks": func(i int) string {
			return customEntry([]string{"cdevents", "subject"}[i%2], []string{`{"synthesizedFor":"x"}`, `{"id":"s","source":"t"}`}[i%2])
		},
	}
	names := []string{"marks of the first version", "marks", "marks with long texts", "marks with an id", "marks that are none", "originals that are none", "subjects beside their marks"}
	for i, t := range types {
		for _, name := range names {
			which := t.typ
			if i == 3 {
				which += " with an escaped identity"
			}
			add(which+": "+name, func(size int) ei {
				return ei{typ: t.typ, id: madeID(1), data: t.data, custom: fill(room(size, 500), marks[name])}
			})
		}
	}
	believed := customEntry("cdevents", `{"id":"x","rules":2}`) + ","
	for _, t := range []struct{ typ, key string }{
		{"ArtifactDeployed", "serviceId"}, {"ArtifactDeployed", "subject"}, {"ArtifactDeployed", "cdevents"}, {"ArtifactDeployed", "eiffel"}, {"ConfidenceLevelModified", "signature"}, {"ConfidenceLevelModified", "subject"},
		{"ActivityTriggered", "subject"}, {"TestCaseTriggered", "subject"}, {"EnvironmentDefined", "subject"}, {"SourceChangeSubmitted", "subject"},
	} {
		add(t.typ+": a believed mark, many "+t.key, func(size int) ei {
			return ei{typ: t.typ, id: madeID(1), custom: believed + fill(room(size, 500), func(i int) string { return customEntry(t.key, `{"id":"s`+n(i)+`"}`) })}
		})
		add(t.typ+": a believed mark, at last a "+t.key, func(size int) ei {
			return ei{typ: t.typ, id: madeID(1), custom: believed + fill(room(size, 500), func(i int) string { return customEntry("k"+n(i), "1") }) + "," + customEntry(t.key, `"s"`)}
		})
	}
	for _, t := range []string{"ArtifactDeployed", "ConfidenceLevelModified", "EnvironmentDefined", "ActivityTriggered"} {
		add(t+": a believed mark, many links", func(size int) ei {
			return ei{typ: t, id: madeID(1), custom: customEntry("cdevents", `{"id":"x","rules":2}`), links: fill(room(size, 500), func(i int) string { return link("CAUSE", id(others+i)) })}
		})
	}
	// What the bridge synthesizes itself, with more in it.
	synthesized := newID("synthesized", "IUT", source, "x", "dev.cdevents.testcaserun.queued.0.3.0")
	mark := customEntry("cdevents", `{"synthesizedFor":"x","type":"dev.cdevents.testcaserun.queued.0.3.0","role":"IUT","rules":2}`)
	add("CompositionDefined: synthesized, many elements", func(size int) ei {
		return ei{typ: "CompositionDefined", id: synthesized, custom: mark, links: fill(room(size, 700), func(i int) string { return link("ELEMENT", id(others+i)) })}
	})
	add("CompositionDefined: synthesized, many marks", func(size int) ei {
		return ei{typ: "CompositionDefined", id: synthesized, custom: fill(room(size, 700), func(int) string { return mark })}
	})
	anchor := newID("anchor", "EiffelEnvironmentDefinedEvent", "environment", source, "prod")
	add("EnvironmentDefined: synthesized, much custom data", func(size int) ei {
		return ei{typ: "EnvironmentDefined", id: anchor, custom: mark + "," + fill(room(size, 700), func(i int) string { return customEntry("k"+n(i), n(i)) })}
	})
	add("EnvironmentDefined: synthesized, many links", func(size int) ei {
		return ei{typ: "EnvironmentDefined", id: anchor, custom: mark, links: fill(room(size, 700), func(i int) string { return link("CAUSE", id(others+i)) })}
	})
	add("ArtifactDeployed: a forged original with many links", func(size int) ei {
		original := cd{id: id(self), links: fill(room(size, 1500), func(i int) string { return path(id(others + i)) })}.text()
		return ei{typ: "ArtifactDeployed", custom: customEntry("cdevents", `{"event":`+string(original)+`,"rules":2}`)}
	})
	add("ArtifactDeployed: a forged original with much custom data", func(size int) ei {
		original := cd{id: id(self), custom: fill(room(size, 1500), func(i int) string { return `"k` + n(i) + `":` + n(i) })}.text()
		return ei{typ: "ArtifactDeployed", custom: customEntry("cdevents", `{"event":`+string(original)+`,"rules":2}`)}
	})
	add("ArtifactDeployed: a forged original that is not valid", func(size int) ei {
		original := cd{id: id(self), content: fill(room(size, 1500), func(i int) string { return `"k` + n(i) + `":` + n(i) })}.text()
		return ei{typ: "ArtifactDeployed", custom: customEntry("cdevents", `{"event":`+string(original)+`,"rules":2}`)}
	})
	add("ArtifactDeployed: many forged originals", func(size int) ei {
		original := string(cd{id: id(self)}.text())
		return ei{typ: "ArtifactDeployed", custom: fill(room(size, 700), func(i int) string { return customEntry("cdevents", `{"event":`+original+`}`) })}
	})
	add("ArtifactDeployed: originals in the values of others", func(size int) ei {
		original := string(cd{id: id(self)}.text())
		return ei{typ: "ArtifactDeployed", custom: fill(room(size, 700), func(i int) string {
			return customEntry("x", `{"key":"cdevents","value":{"event":`+original+`}}`)
		})}
	})
	return out
}

// eiffelData is custom data and other data of Eiffel events, and long texts.
func eiffelData() []Shape {
	var out []Shape
	n := strconv.Itoa
	add := func(name, code string, event func(size int) ei) {
		out = append(out, Shape{Name: name, Code: code, Event: func(size int) []byte { return event(size).text() }})
	}
	for _, typ := range []string{"ArtifactDeployed", "ConfidenceLevelModified", "EnvironmentDefined", "ActivityTriggered", "CompositionDefined"} {
		for _, c := range []struct {
			name string
			item func(i int) string
		}{
			{"different keys", func(i int) string { return customEntry("k"+n(i), n(i)) }},
			{"one key", func(i int) string { return customEntry("k", n(i)) }},
			{"two keys", func(i int) string { return customEntry([]string{"serviceId", "signature"}[i%2], `"s"`) }},
			{"long keys", func(i int) string { return customEntry(long(3000, "k~/")+n(i), n(i)) }},
			{"escaped keys", func(i int) string { return customEntry(`\u006b`+n(i), n(i)) }},
			{"many values each", func(i int) string { return customEntry("k"+n(i), `[`+fill(2000, n)+`]`) }},
		} {
			add(typ+": customData with "+c.name, "", func(size int) ei {
				return ei{typ: typ, custom: fill(room(size, 400), c.item)}
			})
		}
		add(typ+": customData with the wrong members", CodeAny, func(size int) ei {
			return ei{typ: typ, custom: fill(room(size, 400), func(i int) string { return `{"k` + n(i) + `":1}` })}
		})
	}
	add("a long meta.source.uri", tooLong, func(size int) ei {
		return ei{typ: "CompositionDefined", uri: "https://x/" + long(room(size, 400), "a/")}
	})
	add("a meta.source.uri that must be escaped", CodeAny, func(size int) ei {
		return ei{typ: "CompositionDefined", uri: long(room(size, 400), "ö ")}
	})
	add("a meta.source.uri of a kilobyte that must be escaped, many marks", tooLong, func(size int) ei {
		return ei{typ: "CompositionDefined", id: madeID(1), serializer: serializer, uri: long(1000, "ö%"), custom: fill(room(size, 1500), func(i int) string { return customEntry("cdevents", `{"synthesizedFor":"x`+n(i)+`"}`) })}
	})
	add("a long domainId and host", tooLong, func(size int) ei {
		return ei{typ: "CompositionDefined", uri: `","domainId":"` + long(room(size, 400)/2, "d.") + `","host":"` + long(room(size, 400)/2, "h.")}
	})
	add("a long serializer", "", func(size int) ei {
		return ei{typ: "CompositionDefined", serializer: "pkg:" + long(room(size, 400), "golang/")}
	})
	add("a long name of an environment", CodeAny, func(size int) ei {
		return ei{typ: "EnvironmentDefined", data: `"name":"` + long(room(size, 400), "prod") + `"`}
	})
	add("a long name of an activity", "", func(size int) ei {
		return ei{typ: "ActivityTriggered", data: `"name":"` + long(room(size, 400), "ab*") + `"`}
	})
	add("a long identity", tooLong, func(size int) ei {
		return ei{typ: "ArtifactCreated", data: `"identity":"pkg:oci/` + long(room(size, 400), "a%2f") + `@1"`}
	})
	add("a long serviceId", tooLong, func(size int) ei {
		return ei{typ: "ArtifactDeployed", custom: customEntry("serviceId", `"`+long(room(size, 500), "s")+`"`)}
	})
	add("a long description", "", func(size int) ei {
		return ei{typ: "ArtifactDeployed", data: `"description":"` + long(room(size, 400), `\u00f6`) + `"`}
	})
	add("a long commit", CodeAny, func(size int) ei {
		return ei{typ: "SourceChangeSubmitted", data: `"gitIdentifier":{"commitId":"` + long(room(size, 500), "c") + `","repoUri":"r"}`}
	})
	add("a long test case of an Eiffel event", CodeAny, func(size int) ei {
		return ei{typ: "TestCaseTriggered", data: `"testCase":{"id":"` + long(room(size, 500), "c") + `"}`}
	})
	add("many tags", "", func(size int) ei {
		return ei{typ: "ArtifactDeployed", more: `,"tags":[` + fill(room(size, 500), func(i int) string { return `"t` + n(i) + `"` }) + `]`}
	})
	add("many categories", "", func(size int) ei {
		return ei{typ: "ActivityTriggered", data: `"name":"x","categories":[` + fill(room(size, 400), func(i int) string { return `"c` + n(i) + `"` }) + `]`}
	})
	add("many triggers", "", func(size int) ei {
		return ei{typ: "ActivityTriggered", data: `"name":"x","triggers":[` + fill(room(size, 400), func(i int) string { return `{"type":"OTHER","description":"` + n(i) + `"}` }) + `]`}
	})
	add("many locations", "", func(size int) ei {
		return ei{typ: "ArtifactPublished", data: `"locations":[` + fill(room(size, 400), func(i int) string { return `{"type":"PLAIN","uri":"https://x/` + n(i) + `"}` }) + `]`}
	})
	add("many files", "", func(size int) ei {
		return ei{typ: "ArtifactCreated", data: `"identity":"pkg:oci/a@1","fileInformation":[` + fill(room(size, 400), func(i int) string { return `{"name":"f` + n(i) + `"}` }) + `]`}
	})
	add("many parameters", "", func(size int) ei {
		return ei{typ: "TestCaseTriggered", data: `"testCase":{"id":"t"},"parameters":[` + fill(room(size, 400), func(i int) string { return `{"name":"p","value":"` + n(i) + `"}` }) + `]`}
	})
	add("a long time", CodeAny, func(size int) ei {
		return ei{typ: "ArtifactDeployed", time: "1772355600000." + long(room(size, 400), "0")}
	})
	add("a time of many digits", CodeAny, func(size int) ei {
		return ei{typ: "ArtifactDeployed", time: long(room(size, 400), "1")}
	})
	add("a time with an exponent", CodeAny, func(size int) ei {
		return ei{typ: "ArtifactDeployed", time: "1" + long(room(size, 400), "0") + "e-" + n(room(size, 400))}
	})
	add("a long Eiffel type", tooLong, func(size int) ei {
		return ei{full: "Eiffel" + long(room(size, 400), "Thing") + "Event", version: "1.0.0"}
	})
	add("a long Eiffel version", CodeAny, func(size int) ei {
		return ei{typ: "ArtifactDeployed", version: "0." + long(room(size, 400), "2") + ".1"}
	})
	add("data with many unknown members", CodeAny, func(size int) ei {
		return ei{typ: "ArtifactDeployed", data: fill(room(size, 400), func(i int) string { return `"k` + n(i) + `":1` })}
	})
	add("meta with many unknown members", CodeAny, func(size int) ei {
		return ei{typ: "ArtifactDeployed", more: `,` + fill(room(size, 400), func(i int) string { return `"k` + n(i) + `":1` })}
	})
	add("unknown Eiffel type: data with many members", "", func(size int) ei {
		return ei{full: "EiffelThingHappenedEvent", version: "1.0.0", data: fill(room(size, 400), func(i int) string { return `"k` + n(i) + `":[{"a":1}]` })}
	})
	add("newer Eiffel version: data with many unknown members", CodeAny, func(size int) ei {
		return ei{typ: "ArtifactDeployed", version: "0.99.0", data: fill(room(size, 400), func(i int) string { return `"k` + n(i) + `":[{"a":1}]` })}
	})
	add("many faults everywhere", CodeAny, func(size int) ei {
		each := room(size, 400) / 4
		return ei{typ: "ArtifactDeployed", time: `"x"`, more: `,` + fill(each, func(i int) string { return `"k` + n(i) + `":1` }),
			data:   fill(each, func(i int) string { return `"k` + n(i) + `":1` }),
			custom: fill(each, func(i int) string { return n(i) }), links: fill(each, func(i int) string { return `{"x":` + n(i) + `}` })}
	})
	return out
}
