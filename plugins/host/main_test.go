package host_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/plugins/webhookv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestMain lets the test binary be the plugins of the tests.
func TestMain(m *testing.M) {
	if os.Getenv(host.CookieName) == "" && os.Getenv(webhookv1.CookieKey) == "" {
		os.Exit(m.Run())
	}
	if err := plugin(os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func plugin(what string) error {
	switch what {
	case "mapping":
		return sdk.ServeMapping(sdk.MappingOptions{Name: "test", Version: "1.2.3", Translator: translator{}})
	case "configured":
		return sdk.ServeMapping(sdk.MappingOptions{Name: "test", Configure: func(config []byte) (translate.Translator, error) {
			if string(config) != `{"a":1}` {
				return nil, fmt.Errorf("a must be 1, config is %s", config)
			}
			return translator{}, nil
		}})
	case "decorator":
		return sdk.ServeDecorator(sdk.DecoratorOptions{Name: "test", Decorate: func(in translate.Event, made translate.Result, _ *ledger.Facts) (translate.Result, error) {
			for i, e := range made.Events {
				text := strings.Replace(string(e.JSON), `"meta":{`, `"meta":{"tags":["decorated"],`, 1)
				edited, err := translate.Decode([]byte(text))
				if err != nil {
					return made, err
				}
				made.Events[i] = edited
			}
			return made, nil
		}})
	case "engine":
		engine, err := translate.New(translate.Settings{})
		if err != nil {
			return err
		}
		return sdk.ServeMapping(sdk.MappingOptions{Name: "engine", Translator: engine})
	case "explainer":
		var e explainer
		var err error
		if e.Engine, err = translate.New(translate.Settings{}); err != nil {
			return err
		}
		if e.explaining, err = translate.New(translate.Settings{Explain: true}); err != nil {
			return err
		}
		return sdk.ServeMapping(sdk.MappingOptions{Name: "explainer", Translator: e})
	case "blunt":
		return sdk.ServeDecorator(sdk.DecoratorOptions{Name: "test", Decorate: func(_ translate.Event, made translate.Result, _ *ledger.Facts) (translate.Result, error) {
			for i := range made.Learned {
				made.Learned[i].Forget = false // it was built before there was such a thing
			}
			return made, nil
		}})
	case "older":
		return sdk.ServeMapping(sdk.MappingOptions{Name: "test", Translator: older{}})
	case "exits":
		fmt.Fprintln(os.Stderr, "I have no licence")
		os.Exit(3)
	case "noise":
		fmt.Println("hello, I am a plugin")
		return sdk.ServeMapping(sdk.MappingOptions{Name: "test", Translator: translator{}})
	case "version":
		fmt.Println("1|7|tcp|127.0.0.1:1|grpc|")
		time.Sleep(time.Minute)
	case "silent":
		time.Sleep(time.Minute)
	case "hungry":
		var hold [][]byte
		go func() {
			for range 100 {
				b := make([]byte, 10<<20)
				for i := range b {
					b[i] = 1
				}
				hold = append(hold, b)
				time.Sleep(20 * time.Millisecond)
			}
		}()
		return sdk.ServeMapping(sdk.MappingOptions{Name: "test", Translator: translator{}})
	}
	if strings.HasPrefix(what, "foreign") {
		return foreignPlugin(what)
	}
	return fmt.Errorf("no plugin %q", what)
}

// explainer is the bridge's own translator, which tells moves when they are wanted.
type explainer struct {
	*translate.Engine
	explaining *translate.Engine
}

func (e explainer) Explain(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	return e.explaining.Translate(in, facts)
}

var _ sdk.Explainer = explainer{}

// older asks for histories and learns them as plugins did that were built before these were kept entry by entry. Its output says
// what it saw.
type older struct{}

func (older) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	q := ledger.Query{Kind: ledger.LineFact, Key: `["s","x","s","e"]`}
	record, ok := facts.Get(q)
	if !ok {
		q.Range.Limit = pluginwire.WholeLine // on the way it is a query without a range
		return translate.Result{Need: []ledger.Query{q}}, nil
	}
	line, err := ledger.DecodeLine(record)
	if err != nil {
		return translate.Result{}, err
	}
	e := ledger.Entry{Stamp: ledger.Stamp{Time: in.Time, ID: in.DerivedID()}, Artifact: "pkg:oci/x@" + in.Subject}
	delta := ledger.Line{Entries: []ledger.Entry{e}, FirstRuns: []ledger.FirstRun{{Artifact: e.Artifact, Stamp: e.Stamp}}}
	out, err := translate.Decode(fmt.Appendf(nil, `{"meta":{"id":%q,"type":"EiffelCompositionDefinedEvent","version":"3.3.0","time":%d},"data":{"name":"absent %t, %d entries, %d first runs"},"links":[]}`,
		e.ID, in.Time, record == nil, len(line.Entries), len(line.FirstRuns)))
	if err != nil {
		return translate.Result{}, err
	}
	return translate.Result{Events: []translate.Event{out}, Learned: []ledger.Fact{{Query: q, Record: delta.Encode()}}}, nil
}

// translator makes a composition of a custom event, and misbehaves as the event's subject says.
type translator struct{}

func (translator) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	if !strings.HasPrefix(in.Type, "dev.cdeventsx.tool-") {
		return translate.Result{}, &translate.EventError{Code: translate.CodeNoMapping, Message: "not mine"}
	}
	id, typ := in.DerivedID(), "EiffelCompositionDefinedEvent"
	var needed string
	switch subject, _, _ := strings.Cut(in.Subject, "/"); subject {
	case "crash":
		os.Exit(4)
	case "hang":
		select {}
	case "slow":
		time.Sleep(20 * time.Millisecond)
	case "panic":
		panic("on purpose")
	case "print":
		fmt.Println("on standard output")
		slog.Warn("logged", "event", in.ID)
		fmt.Fprintln(os.Stderr, `{"@message":42}`)
	case "wrong_protocol":
		out, _ := translate.Decode(in.JSON)
		return translate.Result{Events: []translate.Event{out}}, nil
	case "invalid":
		id = "no uuid"
	case "forged":
		out, _ := translate.Decode(fmt.Appendf(nil, `{"meta":{"id":%q,"type":%q,"version":"3.3.0","time":%d},"data":{"name":"x","customData":[{"key":"cdevents","value":{"event":{"context":{"specversion":"0.5.1","id":"other","source":"s","type":"dev.cdeventsx.tool-x.happened.0.1.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}}}]},"links":[]}`, id, typ, in.Time))
		return translate.Result{Events: []translate.Event{out}}, nil
	case "error":
		return translate.Result{}, &translate.EventError{Code: "my_code", Pointer: "/subject/id", Message: "I refuse"}
	case "env":
		needed = strings.Join(os.Environ(), " ")
	case "need":
		q := ledger.Query{Kind: ledger.SubjectFact, Key: `["service","s","x"]`}
		record, ok := facts.Get(q)
		if !ok {
			return translate.Result{Need: []ledger.Query{q}}, nil
		}
		needed = fmt.Sprintf("%x", record)
	case "need_always":
		return translate.Result{Need: []ledger.Query{{Kind: ledger.NameFact, Key: `["x","y"]`}}}, nil
	}
	out, err := translate.Decode(fmt.Appendf(nil, `{"meta":{"id":%q,"type":%q,"version":"3.3.0","time":%d},"data":{"name":%q},"links":[]}`, id, typ, in.Time, in.Subject+needed))
	if err != nil {
		return translate.Result{}, err
	}
	result := translate.Result{Events: []translate.Event{out}}
	if in.Subject == "moves" {
		result.Moves = []translate.Move{{From: "/subject/id", To: "/data/name", Out: 7}}
	}
	return result, nil
}
