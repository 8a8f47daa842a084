package hostile

import (
	"fmt"
	"strconv"
	"time"
)

// timestamp is the n-th second of a day.
func timestamp(n int) string {
	return time.Date(2026, 2, 1, 0, 0, n, 0, time.UTC).Format(time.RFC3339)
}

// deploy is the n-th deployment of a service into an environment.
func deploy(n int, service, env, purl string) []byte {
	return cd{id: id(others + n), timestamp: timestamp(n), subject: service,
		content: fmt.Sprintf(`"environment":{"id":"%s","source":"https://k8s.example.com/eu-1"},"artifactId":"%s"`, env, purl)}.text()
}

// The histories that a small event may ask about are as long as the size says, at about this many bytes an event.
const (
	eventBytes   = 600
	mostServices = 100
	mostEntries  = 150
)

// histories are small events about what the ledger has much to say of. They must not cost more than their own size allows,
// however long the history is.
func histories() []Shape {
	n := strconv.Itoa
	always := func(e interface{ text() []byte }) func(int) []byte {
		text := e.text()
		return func(int) []byte { return text }
	}
	environments := func(size int) [][]byte {
		return past(size/eventBytes, func(i int) []byte { return deploy(i, "checkout", "e"+n(i), "pkg:oci/checkout@1") })
	}
	services := func(size int) [][]byte {
		return past(min(mostServices, size/eventBytes), func(i int) []byte { return deploy(i, "s"+n(i), "prod", "pkg:oci/s"+n(i)+"@1") })
	}
	line := func(size int) [][]byte {
		return past(size/eventBytes, func(i int) []byte { return deploy(i, "checkout", "prod", fmt.Sprintf("pkg:oci/checkout@%d.0.0", i)) })
	}
	out := []Shape{
		{Name: "service.published of a service in many environments", Event: always(cd{name: "service.published", id: id(self), content: ``}), Past: environments},
		{Name: "service.removed of a service in many environments", Event: always(cd{name: "service.removed", id: id(self), content: ``}), Past: environments},
		{Name: "service.deployed of a service in many environments", Event: always(cd{id: id(self), content: `"environment":{"id":"new"},"artifactId":"pkg:oci/checkout@1"`}), Past: environments},
		{Name: "service.published of a service in many environments with long ids", Event: always(cd{name: "service.published", id: id(self), content: ``}), Past: func(size int) [][]byte {
			return past(size/eventBytes, func(i int) []byte {
				return deploy(i, "checkout", "e"+n(i)+long(900, "x"), "pkg:oci/checkout@1")
			})
		}},
		{Name: "testcaserun.queued in an environment of many services", Event: always(cd{name: "testcaserun.queued", id: id(self), content: `"environment":` + environment}), Past: services},
		{Name: "testcaserun.queued in an environment of services with long lines", Event: always(cd{name: "testcaserun.queued", id: id(self), content: `"environment":` + environment}), Past: func(size int) [][]byte {
			const services = 100
			return past(services*min(mostEntries, size/2000), func(i int) []byte {
				return deploy(i, "s"+n(i%services), "prod", fmt.Sprintf("pkg:oci/s%d@%d.0%s", i%services, i/services, long(500, ".1")))
			})
		}},
		{Name: "service.deployed in an environment of many services", Event: always(cd{id: id(self), subject: "new"}), Past: services},
		{Name: "service.deployed of a service with a long line", Event: always(cd{id: id(self)}), Past: line},
		{Name: "service.upgraded of a service with a line of long artifacts", Event: always(cd{name: "service.upgraded", id: id(self), content: deployment}), Past: func(size int) [][]byte {
			return past(size/eventBytes, func(i int) []byte {
				return deploy(i, "checkout", "prod", fmt.Sprintf("pkg:maven/a/b@%d%s", i, long(900, ".1-alpha")))
			})
		}},
		{Name: "environment.deleted again and again", Event: always(cd{name: "environment.deleted", id: id(self), subject: "prod"}), Past: func(size int) [][]byte {
			return past(size/eventBytes, func(i int) []byte {
				return cd{name: "environment.deleted", id: id(others + i), subject: "prod", timestamp: timestamp(i)}.text()
			})
		}},
		{Name: "an environment that many sources know", Event: always(cd{id: id(self), content: `"environment":{"id":"prod"},"artifactId":"pkg:oci/checkout@1"`}), Past: func(size int) [][]byte {
			return past(size/eventBytes, func(i int) []byte {
				return cd{name: "environment.created", id: id(others + i), source: "/s" + n(i), subject: "prod"}.text()
			})
		}},
		{Name: "a context id that many events bear", Event: always(cd{id: id(self), links: path("build-1") + "," + relation("TRIGGER", "build-1")}), Past: func(size int) [][]byte {
			return past(size/eventBytes, func(i int) []byte {
				return cd{name: "change.created", id: "build-1", source: "/s" + n(i), subject: "c"}.text()
			})
		}},
		{Name: "a test that ran in many environments", Event: always(ei{typ: "TestCaseStarted", id: id(self), links: link("TEST_CASE_EXECUTION", newID("anchor", "EiffelTestCaseTriggeredEvent", "testcaserun", source, "t"))}), Past: func(size int) [][]byte {
			return past(size/eventBytes, func(i int) []byte {
				return cd{name: "testcaserun.started", id: id(others + i), subject: "t", content: `"environment":{"id":"e` + n(i) + `"}`}.text()
			})
		}},
		{Name: "a service that many packages are deployed for", Event: always(ei{typ: "ArtifactDeployed", id: id(self)}), Past: func(size int) [][]byte {
			out := eiffelPast()
			return append(out, past(size/eventBytes, func(i int) []byte {
				return ei{typ: "ArtifactDeployed", id: id(others + i), custom: customEntry("serviceId", `"s`+n(i)+`"`)}.text()
			})...)
		}},
		{Name: "ArtifactDeployed of a service with a long line", Event: always(ei{typ: "ArtifactDeployed", id: id(self)}), Past: func(size int) [][]byte {
			out := eiffelPast()
			return append(out, past(size/eventBytes, func(i int) []byte { return ei{typ: "ArtifactDeployed", id: id(others + i)}.text() })...)
		}},
	}
	out = append(out, followed()...)
	for i := range out {
		out[i].Needs = true
	}
	return out
}

// eiffelPast are an artifact and an environment.
func eiffelPast() [][]byte {
	return [][]byte{ei{typ: "ArtifactCreated", id: id(artC)}.text(), ei{typ: "EnvironmentDefined", id: id(ed)}.text()}
}

// followed are events that are followed along links to many others, each of which has many links.
func followed() []Shape {
	const width = 60 // of the 64 events that are followed at most
	// fan is an event with links to many events, each of which has so many links that they take that size together.
	fan := func(typ, linkType string, size int) [][]byte {
		var out [][]byte
		for i := range width {
			out = append(out, ei{typ: typ, id: id(others + i), links: fill(size/width, func(k int) string { return link(linkType, id(artD+1000*i+k)) })}.text())
		}
		return out
	}
	roots := func(linkType string) string {
		return fill(width*75, func(i int) string { return link(linkType, id(others+i)) })
	}
	fixed := func(e ei) func(int) []byte {
		text := e.text()
		return func(int) []byte { return text }
	}
	return []Shape{
		{Name: "ArtifactCreated of a composition of compositions", Event: fixed(ei{typ: "ArtifactCreated", id: id(self), links: link("COMPOSITION", id(someone))}), Past: func(size int) [][]byte {
			return append(fan("CompositionDefined", "ELEMENT", size), ei{typ: "CompositionDefined", id: id(someone), links: roots("ELEMENT")}.text())
		}},
		{Name: "ArtifactCreated caused by events of many causes", Event: fixed(ei{typ: "ArtifactCreated", id: id(self), links: roots("CAUSE")}), Past: func(size int) [][]byte {
			return fan("CompositionDefined", "CAUSE", size)
		}},
		{Name: "TestCaseTriggered of a composition of compositions", Event: fixed(ei{typ: "TestCaseTriggered", id: id(self), bare: true, links: link("IUT", id(someone))}), Past: func(size int) [][]byte {
			return append(fan("CompositionDefined", "ELEMENT", size), ei{typ: "CompositionDefined", id: id(someone), links: roots("ELEMENT")}.text())
		}},
		{Name: "TestSuiteStarted caused by suites of many causes", Event: fixed(ei{typ: "TestSuiteStarted", id: id(self), links: roots("CAUSE")}), Past: func(size int) [][]byte {
			return fan("TestSuiteStarted", "CAUSE", size)
		}},
		{Name: "ActivityStarted of an activity of many causes", Event: fixed(ei{typ: "ActivityStarted", id: id(self)}), Past: func(size int) [][]byte {
			return [][]byte{ei{typ: "ActivityTriggered", id: id(someone), links: fill(size, func(i int) string { return link("CAUSE", id(others+i)) })}.text()}
		}},
		{Name: "a chain of events of many causes", Event: fixed(ei{typ: "TestSuiteStarted", id: id(self), links: link("CAUSE", id(others))}), Past: func(size int) [][]byte {
			var out [][]byte
			for i := range 8 {
				next := link("CAUSE", id(others+i+1))
				out = append(out, ei{typ: "TestSuiteStarted", id: id(others + i), links: next + "," + fill(size, func(int) string { return next })}.text())
			}
			return out
		}},
		{Name: "a confidence level on events of many links", Event: fixed(ei{typ: "ConfidenceLevelModified", id: id(self), links: roots("SUBJECT")}), Past: func(size int) [][]byte {
			return fan("CompositionDefined", "ELEMENT", size)
		}},
		{Name: "links to events of many links", Event: func(int) []byte {
			return cd{id: id(self), links: fill(width*80, func(i int) string { return path(id(others + i)) })}.text()
		}, Past: func(size int) [][]byte { return fan("CompositionDefined", "ELEMENT", size) }},
	}
}

// Ordinary are ordinary events, about what the ledger knows: what the shapes are held against.
func Ordinary() []Shape {
	const purl = "pkg:oci/checkout@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
	deployed := func(n int) []byte {
		return cd{id: id(n), timestamp: timestamp(n), links: relation("TRIGGER", id(someone)), more: `,"chainId":"` + id(someone) + `"`, custom: `"team":"payments","pipelineRun":"4711"`,
			content: `"environment":` + environment + `,"artifactId":"` + purl + `"`}.text()
	}
	artifactDeployed := func(n int) []byte {
		return ei{typ: "ArtifactDeployed", id: id(n), time: strconv.Itoa(1772355600000 + n), data: `"description":"checkout deployed to prod","uri":"https://deployments.example.com/4711"`,
			custom: customEntry("serviceId", `"checkout"`) + "," + customEntry("team", `"payments"`), links: link("CAUSE", id(someone))}.text()
	}
	return []Shape{
		{Name: "service.deployed", Needs: true, Event: func(int) []byte { return deployed(self) }, Past: func(int) [][]byte {
			return past(20, func(i int) []byte { return deployed(others + i) })
		}},
		{Name: "EiffelArtifactDeployedEvent", Needs: true, Event: func(int) []byte { return artifactDeployed(self) }, Past: func(int) [][]byte {
			return append(eiffelPast(), past(20, func(i int) []byte { return artifactDeployed(others + i) })...)
		}},
	}
}
