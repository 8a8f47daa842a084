package main

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Constants is the Go file that has a constant for each code.
func Constants() ([]byte, error) {
	c, err := mappings.Load()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`// Code generated from the catalogue's codes.yaml. DO NOT EDIT.

package translate

// The codes by which results and errors say what there is to say.
const (
`)
	for i, group := range []struct {
		about string
		codes []mappings.Code
	}{
		{"Why an event cannot be translated: [EventError.Code]. Dead letters carry them as their reason.", c.Codes.Errors},
		{"Why a part of the input has no home in the output: [Loss.Reason].", c.Codes.Losses},
		{"What a user should know about a translation that succeeded: [Diagnostic.Code].", c.Codes.Diagnostics},
	} {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "\t// %s\n\n", group.about)
		for _, code := range group.codes {
			fmt.Fprintf(&b, "\t%s = %q // %s\n", code.Go, code.Code, strings.ReplaceAll(code.Says, "`", ""))
		}
	}
	b.WriteString(")\n")
	return format.Source(b.Bytes())
}
