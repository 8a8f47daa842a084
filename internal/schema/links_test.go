package schema

import (
	"slices"
	"testing"
)

const (
	id1 = "aaaaaaaa-bbbb-4ccc-8ddd-000000000001"
	id2 = "aaaaaaaa-bbbb-4ccc-8ddd-000000000002"
)

func TestLinkRules(t *testing.T) {
	rules := LinkRules("EiffelArtifactPublishedEvent", "3.3.0")
	if !slices.IsSortedFunc(rules, func(a, b LinkRule) int {
		if a.Type < b.Type {
			return -1
		}
		return 1
	}) || len(rules) == 0 {
		t.Errorf("%v", rules)
	}
	find := func(rules []LinkRule, typ string) *LinkRule {
		for i := range rules {
			if rules[i].Type == typ {
				return &rules[i]
			}
		}
		return nil
	}
	if r := find(rules, "ARTIFACT"); r == nil || !r.Required || r.Multiple || !slices.Equal(r.Targets, []string{"EiffelArtifactCreatedEvent"}) {
		t.Errorf("%+v", r)
	}
	if r := find(rules, "CAUSE"); r == nil || r.Required || !r.Multiple || r.Targets != nil {
		t.Errorf("%+v", r)
	}
	if lenient := LinkRules("EiffelArtifactPublishedEvent", "3.99.0"); !slices.EqualFunc(lenient, rules, func(a, b LinkRule) bool { return a.Type == b.Type }) {
		t.Errorf("%v", lenient)
	}
	if LinkRules("EiffelArtifactPublishedEvent", "99.0.0") != nil || LinkRules("Nothing", "1.0.0") != nil {
		t.Error("rules from nowhere")
	}
	for _, typ := range EiffelTypes() {
		for _, v := range EiffelVersions(typ) {
			n := len(LinkRules(typ, v))
			undocumented := v == "1.0.0" && (typ == "EiffelTestCaseFinishedEvent" || typ == "EiffelTestExecutionRecipeCollectionCreatedEvent")
			if (n == 0) != undocumented || n > 64 {
				t.Errorf("%s %s: %d rules", typ, v, n)
			}
		}
	}
}

func TestValidateLinks(t *testing.T) {
	typeOf := func(target string) (string, bool) {
		switch target {
		case id1:
			return "EiffelArtifactCreatedEvent", true
		case id2:
			return "EiffelCompositionDefinedEvent", true
		}
		return "", false
	}
	link := func(typ, target string) string { return `{"type":"` + typ + `","target":"` + target + `"}` }
	unknown := "aaaaaaaa-bbbb-4ccc-8ddd-000000000003"
	for _, c := range []struct {
		name, version, links string
		typeOf               func(string) (string, bool)
		want                 []string
	}{
		{"good", "3.3.0", link("ARTIFACT", id1) + "," + link("CAUSE", id2) + "," + link("CAUSE", id1), typeOf, nil},
		{"unknown target", "3.3.0", link("ARTIFACT", unknown), typeOf, nil},
		{"nobody knows targets", "3.3.0", link("ARTIFACT", id2), nil, nil},
		{"none", "3.3.0", "", typeOf, []string{"linkRequired /links"}},
		{"illegal type", "3.3.0", link("IUT", id1) + "," + link("ARTIFACT", id1), typeOf, []string{"linkType /links/0/type"}},
		{"twice", "3.3.0", link("ARTIFACT", id1) + "," + link("ARTIFACT", unknown), typeOf, []string{"linkSingle /links/1"}},
		{"illegal target", "3.3.0", link("CAUSE", id1) + "," + link("ARTIFACT", id2), typeOf, []string{"linkTarget /links/1/target"}},
		{"all at once", "3.3.0", link("IUT", id1) + "," + link("CONTEXT", id1) + "," + link("CONTEXT", unknown), typeOf,
			[]string{"linkType /links/0/type", "linkTarget /links/1/target", "linkSingle /links/2", "linkRequired /links"}},
		{"newer version", "3.99.0", link("NOVELTY", id1) + "," + link("ARTIFACT", id2), typeOf, nil},
		{"newer version without a required one", "3.99.0", link("NOVELTY", id1), typeOf, []string{"linkRequired /links"}},
	} {
		s, err := ForEiffel("EiffelArtifactPublishedEvent", c.version)
		if err != nil {
			t.Fatal(err)
		}
		d := mustParse(t, []byte(`{"links":[`+c.links+`]}`))
		var got []string
		for _, f := range s.ValidateLinks(d, c.typeOf) {
			got = append(got, f.Rule+" "+f.Pointer)
			if f.Message == "" {
				t.Errorf("%s: no message", c.name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	odd, _ := ForEiffel("EiffelTestCaseFinishedEvent", "1.0.0")
	if f := odd.ValidateLinks(mustParse(t, []byte(`{"links":[{"type":"X"}]}`)), nil); f != nil {
		t.Errorf("%v", f)
	}
	cd, _ := ForCDEvent("dev.cdevents.service.deployed.0.3.0", "")
	if f := cd.ValidateLinks(mustParse(t, []byte(`{}`)), nil); f != nil {
		t.Errorf("%v", f)
	}
}
