// Package judge judges events for tests by the schemas and link rules of the specifications themselves. It shares no code
// with the product, which validates by tables made of them.
package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
)

// A Judge is safe for concurrent use.
type Judge struct {
	resources map[string][]byte // schemas of CDEvents by $id
	cdevents  map[string]string // the $id of the schema by event type
	eiffel    map[string][]byte // by type and version, with a space between
	links     map[string]map[string]map[string]linkRule

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema // by the key of the map that it comes from
}

type linkRule struct {
	Multiple, Required bool
}

var shared struct {
	sync.Mutex
	*Judge
}

// Get returns the judge of the process.
func Get(t testing.TB) *Judge {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Judge == nil {
		shared.Judge = load(t)
	}
	return shared.Judge
}

func load(t testing.TB) *Judge {
	t.Helper()
	j := &Judge{
		resources: map[string][]byte{}, cdevents: map[string]string{}, eiffel: map[string][]byte{},
		compiled: map[string]*jsonschema.Schema{},
	}
	for name, text := range specs.Schemas(t) {
		dir, file := path.Split(name)
		switch {
		case name == "eiffel/links.json":
			if err := json.Unmarshal(text, &j.links); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		case strings.HasPrefix(name, "eiffel/"):
			j.eiffel[path.Base(dir)+" "+strings.TrimSuffix(file, ".json")] = text
		default:
			var s struct {
				ID         string `json:"$id"`
				Properties struct {
					Context struct {
						Properties struct {
							Type struct{ Enum []string }
						}
					}
				}
			}
			if err := json.Unmarshal(text, &s); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			j.resources[s.ID] = text
			for _, eventType := range s.Properties.Context.Properties.Type.Enum {
				j.cdevents[eventType] = s.ID
			}
		}
	}
	if len(j.cdevents) == 0 || len(j.eiffel) == 0 {
		t.Fatalf("%d schemas of CDEvents and %d of Eiffel", len(j.cdevents), len(j.eiffel))
	}
	return j
}

// Findings says what is wrong with an event, nothing if it is valid. known is false if there is no schema for its type and
// version, in which case nothing was judged.
func (j *Judge) Findings(text []byte) (findings []string, known bool) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return []string{err.Error()}, true
	}
	event, _ := v.(map[string]any)
	meta, _ := event["meta"].(map[string]any)
	context, _ := event["context"].(map[string]any)
	var s *jsonschema.Schema
	if meta != nil {
		eventType, _ := meta["type"].(string)
		version, _ := meta["version"].(string)
		key := eventType + " " + version
		if j.eiffel[key] == nil {
			return nil, false
		}
		s, err = j.schema(key, "eiffel:schema", func(add func(id string, text []byte)) { add("eiffel:schema", j.eiffel[key]) })
		findings = j.checkLinks(event, j.links[eventType][version])
	} else {
		eventType, _ := context["type"].(string)
		id := j.cdevents[eventType]
		if strings.HasPrefix(eventType, "dev.cdeventsx.") {
			spec, ok := context["specversion"].(string)
			if !ok {
				spec, _ = context["version"].(string)
			}
			id = "https://cdevents.dev/" + spec + "/schema/custom"
		}
		if j.resources[id] == nil {
			return nil, false
		}
		s, err = j.schema(id, id, func(add func(id string, text []byte)) {
			for other, text := range j.resources {
				if other == id || strings.HasPrefix(other, id[:strings.Index(id, "/schema/")]+"/schema/links/") {
					add(other, text)
				}
			}
		})
	}
	if err != nil {
		return []string{err.Error()}, true
	}
	if err := s.Validate(v); err != nil {
		findings = append(findings, err.Error())
	}
	return findings, true
}

func (j *Judge) schema(key, base string, resources func(add func(id string, text []byte))) (*jsonschema.Schema, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.compiled[key]; s != nil {
		return s, nil
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	var failed error
	resources(func(id string, text []byte) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = c.AddResource(id, v)
		}
		if err != nil {
			failed = fmt.Errorf("%s: %w", id, err)
		}
	})
	if failed != nil {
		return nil, failed
	}
	s, err := c.Compile(base)
	if err == nil {
		j.compiled[key] = s
	}
	return s, err
}

// checkLinks holds an Eiffel event to the link rules of its type. There are none for some types, and none at all where the
// specifications are not at hand.
func (j *Judge) checkLinks(event map[string]any, rules map[string]linkRule) (findings []string) {
	if len(rules) == 0 {
		return nil
	}
	count := map[string]int{}
	links, _ := event["links"].([]any)
	for _, link := range links {
		l, _ := link.(map[string]any)
		linkType, _ := l["type"].(string)
		count[linkType]++
		if _, legal := rules[linkType]; !legal {
			findings = append(findings, "a link of type "+linkType)
		}
	}
	for linkType, rule := range rules {
		if n := count[linkType]; rule.Required && n == 0 || !rule.Multiple && n > 1 {
			findings = append(findings, fmt.Sprintf("%d links of type %s", n, linkType))
		}
	}
	return findings
}
