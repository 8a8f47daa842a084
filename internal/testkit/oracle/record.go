// Package oracle compares what two trees of the project make of the same corpus, event by event, and says which
// differences nobody has explained.
package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
)

// record is one line of a driver: what came of one event, or what a bridge has learned.
type record struct {
	At          string       `json:"at"`
	Input       string       `json:"input"` // a hash of the event that went in
	Text        string       `json:"text"`
	Nothing     bool         `json:"nothing"` // the step took an output that is not there
	Error       *failure     `json:"error"`
	Outputs     []output     `json:"outputs"`
	Losses      []loss       `json:"losses"`
	Diagnostics []diagnostic `json:"diagnostics"`
	Missing     []missing    `json:"missing"`
	Moves       []move       `json:"moves"`
	Need        string       `json:"need"`
	Row         string       `json:"row"`
	About       string       `json:"about"`
	Returning   string       `json:"returning"`

	State string          `json:"state"` // whose
	Facts json.RawMessage `json:"facts"`

	facts *jsontree.Node
}

type failure struct{ Code, ID, Type, Pointer, Message, Other string }

type output struct {
	JSON                                                                                 string
	Protocol, ID, Source, Type, Version, Subject, Time, Schema, Tag, Domain, Synthesized string

	tree *jsontree.Node
}

type loss struct{ Reason, Pointer, Carried string }

type diagnostic struct{ Code, Message string }

type missing struct{ Want, Name, Kind, Key string }

type move struct{ From, To, Out, Rule, Fidelity string }

// read reads a line and what is JSON in it.
func read(line []byte) (*record, error) {
	r := &record{}
	if err := json.Unmarshal(line, r); err != nil {
		return nil, fmt.Errorf("a line of a driver: %w: %s", err, shorten(string(line), 200))
	}
	for i := range r.Outputs {
		o := &r.Outputs[i]
		if tree, err := jsontree.Parse([]byte(o.JSON)); err == nil {
			o.tree = tree
		}
	}
	if r.Facts != nil {
		tree, err := jsontree.Parse(r.Facts)
		if err != nil {
			return nil, fmt.Errorf("the learned state: %w", err)
		}
		r.facts = tree
	}
	return r, nil
}

// id names a record within its block.
func (r *record) id() string { return r.At + " " + r.State }

// blockHead is the first line of a block.
type blockHead struct {
	Block            int
	Stream, Settings string
}

// lines splits a block.
func lines(block []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(block, []byte("\n")), []byte("\n"))
}

// shorten cuts a text to about a length.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
