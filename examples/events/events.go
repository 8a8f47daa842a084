// Package events has an example of every event type of CDEvents and Eiffel, as two stories; the README beside it tells them.
package events

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed README.md cdevents eiffel
var files embed.FS

// Example is an event of a story.
type Example struct {
	// Name is the event's type as people say it, "service.deployed" or "ArtifactDeployed"; "custom" is the example of a
	// custom CDEvent. A hyphen and a word follow it where the story needs a second event of a type.
	Name  string
	File  string // below examples/events, "cdevents/service.deployed.json"
	About string // what happens, in words
	JSON  []byte
}

// CDEvents is the story that is told in CDEvents of version 0.5.1, in its order.
func CDEvents() ([]Example, error) { return story("cdevents") }

// Eiffel is the story that is told in Eiffel events of edition Orizaba, in its order.
func Eiffel() ([]Example, error) { return story("eiffel") }

// item is an event in the README's lists.
var item = regexp.MustCompile(`(?m)^1\. \[([^]]+)\]\(([^)]+\.json)\): (.+)$`)

func story(folder string) ([]Example, error) {
	readme, err := files.ReadFile("README.md")
	if err != nil {
		return nil, err
	}
	var out []Example
	for _, m := range item.FindAllStringSubmatch(string(readme), -1) {
		e := Example{Name: m[1], File: m[2], About: m[3]}
		if !strings.HasPrefix(e.File, folder+"/") {
			continue
		}
		if e.JSON, err = files.ReadFile(e.File); err != nil {
			return nil, fmt.Errorf("the list in README.md: %w", err)
		}
		out = append(out, e)
	}
	return out, nil
}
