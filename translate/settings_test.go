package translate_test

import (
	"encoding"
	"errors"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestSettingsWords: every word reads as itself, no text is the default, and any other names the words that there are.
func TestSettingsWords(t *testing.T) {
	var s translate.Settings
	for _, c := range []struct {
		setting encoding.TextUnmarshaler
		value   func() string
		words   string
	}{
		{&s.Carry, func() string { return string(s.Carry) }, "original, none"},
		{&s.Synthesize, func() string { return string(s.Synthesize) }, "missing, always, never"},
		{&s.Returning, func() string { return string(s.Returning) }, "give_back, drop, restore, translate"},
		{&s.NoMapping, func() string { return string(s.NoMapping) }, "announce, refuse, drop"},
		{&s.Unresolved, func() string { return string(s.Unresolved) }, "placeholder, fail"},
	} {
		for _, word := range append(strings.Split(c.words, ", "), "") {
			if err := c.setting.UnmarshalText([]byte(word)); err != nil || c.value() != word {
				t.Errorf("%q reads as %q: %v", word, c.value(), err)
			}
		}
		if err := c.setting.UnmarshalText([]byte("Original")); err == nil || !strings.HasSuffix(err.Error(), ": "+c.words) || c.value() != "" {
			t.Errorf("the error is %v, and it reads as %q", err, c.value())
		}
	}
}

// TestSettingsComplete: what is empty has its default, and what is unknown is refused by its name.
func TestSettingsComplete(t *testing.T) {
	got, want := newEngine(t, translate.Settings{}).Settings(), translate.DefaultSettings()
	got.Catalogue, got.PublishedLevels = nil, nil
	if got.Carry != want.Carry || got.Synthesize != want.Synthesize || got.Returning != want.Returning || got.NoMapping != want.NoMapping ||
		got.Unresolved != want.Unresolved || got.Edition != want.Edition || got.Spec != want.Spec || got.ServiceIDKey != want.ServiceIDKey || got.Version != want.Version {
		t.Errorf("the zero value has the defaults %+v, and they are said to be %+v", got, want)
	}
	for name, s := range map[string]translate.Settings{
		"carry": {Carry: "x"}, "synthesize": {Synthesize: "x"}, "returning": {Returning: "x"}, "no mapping": {NoMapping: "x"},
		"unresolved": {Unresolved: "x"}, "edition": {Edition: "x"}, "spec": {Spec: "x"},
	} {
		if _, err := translate.New(s); err == nil || !strings.HasPrefix(err.Error(), name+": \"x\"") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// TestUnresolvedSetting: a session does what the engine's settings say, and Ask only tells.
func TestUnresolvedSetting(t *testing.T) {
	const published = `{"meta":{"id":"22222222-2222-4222-8222-222222222222","type":"EiffelArtifactPublishedEvent","version":"3.3.0","time":1774000000000,"source":{"uri":"https://ci.example.com"}},` +
		`"data":{"locations":[{"type":"OTHER","uri":"https://registry.example.com"}]},"links":[{"type":"ARTIFACT","target":"11111111-1111-4111-8111-111111111111"}]}`
	for _, unresolved := range []translate.Unresolved{"", translate.UnresolvedPlaceholder, translate.UnresolvedFail} {
		engine := newEngine(t, translate.Settings{Unresolved: unresolved})
		event, err := translate.Decode([]byte(published))
		if err != nil {
			t.Fatal(err)
		}
		s := fresh(engine)
		if told, err := translate.Ask(t.Context(), engine, s.Ledger(), event); err != nil || len(told.Missing) == 0 {
			t.Fatalf("%q: %d missing, %v", unresolved, len(told.Missing), err)
		}
		_, err = s.TranslateEvent(t.Context(), event)
		var refused *translate.EventError
		if fails := errors.As(err, &refused) && refused.Code == translate.CodeUnresolved; fails != (unresolved == translate.UnresolvedFail) {
			t.Errorf("%q: %v", unresolved, err)
		}
	}
}
