// Package oracle judges events for tests by the schemas and link rules of the specifications themselves. It shares no code
// with the product, which validates by tables made of them.
package oracle

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

// An Oracle is safe for concurrent use.
type Oracle struct {
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
	*Oracle
}

// Get returns the oracle of the process.
func Get(t testing.TB) *Oracle {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Oracle == nil {
		shared.Oracle = load(t)
	}
	return shared.Oracle
}

func load(t testing.TB) *Oracle {
	t.Helper()
	o := &Oracle{
		resources: map[string][]byte{}, cdevents: map[string]string{}, eiffel: map[string][]byte{},
		compiled: map[string]*jsonschema.Schema{},
	}
	for name, text := range specs.Schemas(t) {
		dir, file := path.Split(name)
		switch {
		case name == "eiffel/links.json":
			if err := json.Unmarshal(text, &o.links); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		case strings.HasPrefix(name, "eiffel/"):
			o.eiffel[path.Base(dir)+" "+strings.TrimSuffix(file, ".json")] = text
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
			o.resources[s.ID] = text
			for _, eventType := range s.Properties.Context.Properties.Type.Enum {
				o.cdevents[eventType] = s.ID
			}
		}
	}
	if len(o.cdevents) == 0 || len(o.eiffel) == 0 {
		t.Fatalf("%d schemas of CDEvents and %d of Eiffel", len(o.cdevents), len(o.eiffel))
	}
	return o
}

// Findings says what is wrong with an event, nothing if it is valid. known is false if there is no schema for its type and
// version, in which case nothing was judged.
func (o *Oracle) Findings(text []byte) (findings []string, known bool) {
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
		if o.eiffel[key] == nil {
			return nil, false
		}
		s, err = o.schema(key, "eiffel:schema", func(add func(id string, text []byte)) { add("eiffel:schema", o.eiffel[key]) })
		findings = o.checkLinks(event, o.links[eventType][version])
	} else {
		eventType, _ := context["type"].(string)
		id := o.cdevents[eventType]
		if strings.HasPrefix(eventType, "dev.cdeventsx.") {
			spec, ok := context["specversion"].(string)
			if !ok {
				spec, _ = context["version"].(string)
			}
			id = "https://cdevents.dev/" + spec + "/schema/custom"
		}
		if o.resources[id] == nil {
			return nil, false
		}
		s, err = o.schema(id, id, func(add func(id string, text []byte)) {
			for other, text := range o.resources {
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

func (o *Oracle) schema(key, base string, resources func(add func(id string, text []byte))) (*jsonschema.Schema, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.compiled[key]; s != nil {
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
		o.compiled[key] = s
	}
	return s, err
}

// checkLinks holds an Eiffel event to the link rules of its type. There are none for some types, and none at all where the
// specifications are not at hand.
func (o *Oracle) checkLinks(event map[string]any, rules map[string]linkRule) (findings []string) {
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
