package compose_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/compose"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

var defined = []byte(`{
	"meta": {
		"id": "11111111-1111-4111-8111-111111111111", "type": "EiffelEnvironmentDefinedEvent", "version": "3.3.0",
		"time": 1774000000000, "source": {"uri": "https://k8s.example.com"}
	},
	"data": {"name": "prod"}, "links": []
}`)

// silent has no output for environments, and no mapping for all else.
type silent struct{}

func (silent) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	if strings.HasPrefix(in.Type, "EiffelEnvironment") {
		return translate.Result{Row: "silent"}, nil
	}
	return translate.Result{}, &translate.EventError{Code: translate.CodeNoMapping, ID: in.ID, Type: in.Type, Message: "no environment"}
}

func engine() translate.Translator {
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	return engine
}

// show prints how many events a translator makes of an environment.
func show(t translate.Translator) {
	result, err := translate.NewSession(t, ledger.NewMemory()).Translate(context.Background(), defined)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(result.Events), result.Diagnostics)
}

func ExampleFallback() {
	show(compose.Fallback(engine(), silent{}))
	show(compose.Fallback(silent{}, engine()))
	// Output:
	// 1 []
	// 0 []
}

func ExampleOverride() {
	show(compose.Override(engine(), silent{}))
	// Output: 0 []
}

func ExampleDecorate() {
	show(compose.Decorate(engine(), func(in translate.Event, made translate.Result, facts *ledger.Facts) (translate.Result, error) {
		made.Diagnostics = append(made.Diagnostics, translate.Diagnostic{Code: "seen", Message: in.Type})
		return made, nil
	}))
	// Output: 1 [{seen EiffelEnvironmentDefinedEvent}]
}
