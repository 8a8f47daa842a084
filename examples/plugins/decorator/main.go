// The plugin decorator gives every Eiffel event that the bridge writes a tag, by which its routing key can be told from others.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/compose"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func main() {
	err := sdk.ServeDecorator(sdk.DecoratorOptions{Name: "decorator", Version: "1.0.0", Configure: configure})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func configure(text []byte) (compose.Decorator, error) {
	config := struct {
		Tag string `json:"tag"`
	}{"bridged"}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &config); err != nil {
			return nil, err
		}
	}
	if config.Tag == "" {
		return nil, errors.New("tag is empty")
	}
	return func(_ translate.Event, made translate.Result, _ *ledger.Facts) (translate.Result, error) {
		edited := made
		edited.Events = make([]translate.Event, len(made.Events))
		for i, e := range made.Events {
			var err error
			if edited.Events[i], err = tagged(e, config.Tag); err != nil {
				return made, err
			}
		}
		return edited, nil
	}, nil
}

// tagged adds a tag to meta.tags of an Eiffel event.
func tagged(e translate.Event, tag string) (translate.Event, error) {
	if e.Protocol != translate.Eiffel {
		return e, nil
	}
	var event, meta map[string]json.RawMessage
	if err := json.Unmarshal(e.JSON, &event); err != nil {
		return e, err
	}
	if err := json.Unmarshal(event["meta"], &meta); err != nil {
		return e, err
	}
	var tags []string
	if meta["tags"] != nil {
		if err := json.Unmarshal(meta["tags"], &tags); err != nil {
			return e, err
		}
	}
	var err error
	if meta["tags"], err = encode(append(tags, tag)); err != nil {
		return e, err
	}
	if event["meta"], err = encode(meta); err != nil {
		return e, err
	}
	text, err := encode(event)
	if err != nil {
		return e, err
	}
	out, err := translate.Decode(text)
	out.Synthesized = e.Synthesized
	return out, err
}

// encode is json.Marshal that leaves <, > and & as they are: the original that an event carries must stay as it came.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
