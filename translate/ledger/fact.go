package ledger

import (
	"bytes"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// Check says what is wrong with a fact that a translator of others learned, nil if nothing is.
func (f Fact) Check() error {
	known := false
	for _, k := range FactKinds() {
		known = known || k == f.Query.Kind
	}
	if !known {
		return fmt.Errorf("no ledger has facts of kind %d", f.Query.Kind)
	}
	doc, err := jsondoc.Parse([]byte(f.Query.Key))
	if err != nil || doc.Root().Kind() != jsondoc.Array || !bytes.Equal(doc.Bytes(), []byte(f.Query.Key)) {
		return fmt.Errorf("the key %.80q is no compact JSON array", f.Query.Key)
	}
	switch {
	case f.Query.IsRange():
		return fmt.Errorf("the query of %s %.80s has a range", f.Query.Kind, f.Query.Key)
	case f.Forget && (!f.Query.Kind.Ranged() || len(f.Record) > 0):
		return fmt.Errorf("%s %.80s cannot be forgotten, or has a record besides", f.Query.Kind, f.Query.Key)
	case f.Forget, f.Query.Kind == LineFact && IsLine(f.Record):
		return nil
	}
	if _, err := Merge(f.Query.Kind, []byte{}, f.Record); err != nil {
		return fmt.Errorf("the record of %s %.80s: %w", f.Query.Kind, f.Query.Key, err)
	}
	return nil
}
