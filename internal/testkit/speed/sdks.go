package speed

import (
	"context"
	"encoding/json"
	"strings"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	"github.com/cdevents/sdk-go/pkg/api/v05"
	eiffelevents "github.com/eiffel-community/eiffelevents-sdk-go"
	"github.com/eiffel-community/eiffelevents-sdk-go/validator"
)

// sdk is what a protocol's own Go SDK does with an event: decoding, validating, marshalling. An SDK that does not know the
// event's version fails at the first.
func sdk(name string, text []byte) []*variant {
	repeat := func(what string, once func() error) *variant {
		return &variant{name: what, share: 0.25, prepare: func(n int) (func(), error) {
			if err := once(); err != nil {
				return nil, err
			}
			return func() {
				for range n {
					_ = once()
				}
			}, nil
		}}
	}
	if !strings.HasPrefix(name, "Eiffel") {
		event, err := v05.NewFromJsonBytes(text)
		return []*variant{
			repeat("decode", func() error { _, err := v05.NewFromJsonBytes(text); return err }),
			repeat("validate", func() error {
				if err != nil {
					return err
				}
				return cdevents.Validate(event)
			}),
			repeat("marshal", func() error {
				if err != nil {
					return err
				}
				_, err := cdevents.AsJsonBytes(event)
				return err
			}),
		}
	}
	event, err := eiffelevents.UnmarshalAny(text)
	validators := validator.NewSet(validator.NewSchemaValidator(validator.NewBundledSchemaLocator()))
	return []*variant{
		repeat("decode", func() error { _, err := eiffelevents.UnmarshalAny(text); return err }),
		repeat("validate", func() error { return validators.Validate(context.Background(), text) }),
		repeat("marshal", func() error {
			if err != nil {
				return err
			}
			_, err := json.Marshal(event)
			return err
		}),
	}
}
