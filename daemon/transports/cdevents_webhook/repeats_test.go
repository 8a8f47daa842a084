package cdeventswebhook

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRepeatsAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	key := func(n int) requestKey { return keyOf("t", nil, fmt.Append(nil, n)) }
	r := newRepeats(time.Minute)
	for n := range mostRepeats + 10 {
		if got := r.put(key(n), "event", now); got != "event" {
			t.Fatal(got)
		}
	}
	if _, ok := r.get(key(9), now); ok || r.order.Len() != mostRepeats || len(r.byKey) != mostRepeats {
		t.Errorf("%d requests are remembered", r.order.Len())
	}
	if _, ok := r.get(key(10), now); !ok {
		t.Error("the oldest of those that have room is forgotten")
	}
	if got := r.put(key(10), "another", now); got != "event" {
		t.Errorf("a request that came twice at once has the event %q", got)
	}

	// Time ends what is remembered, and what is asked for is not given after it even if it is there.
	later := now.Add(time.Minute + 1)
	if _, ok := r.get(key(10), later); ok {
		t.Error("remembered for too long")
	}
	if got := r.put(key(10), "another", later); got != "another" || r.order.Len() != 1 || r.bytes != len("another") {
		t.Errorf("%q, %d requests, %d bytes", got, r.order.Len(), r.bytes)
	}

	// So does room.
	large := strings.Repeat("x", mostRepeatBytes/2+1)
	r.put(key(1), large, later)
	r.put(key(2), large, later)
	if _, ok := r.get(key(1), later); ok || r.bytes != len(large) {
		t.Errorf("%d bytes are remembered", r.bytes)
	}
}

func TestKeyOf(t *testing.T) {
	type request struct {
		name, body string
		header     http.Header
	}
	base := request{"t", "b", http.Header{"A": {"1", "2"}, "B": {"3"}}}
	key := func(r request) requestKey { return keyOf(r.name, r.header, []byte(r.body)) }
	for name, other := range map[string]request{
		"translator": {"tb", "", base.header}, "body": {"t", "c", base.header},
		"a value":   {"t", "b", http.Header{"A": {"1"}, "B": {"3"}}},
		"one value": {"t", "b", http.Header{"A": {"12"}, "B": {"3"}}},
		"moved":     {"t", "b", http.Header{"A": {"1"}, "B": {"2", "3"}}},
		"a name":    {"t", "b", http.Header{"A": {"1", "2"}, "C": {"3"}}},
		"no header": {"t", "b", nil},
	} {
		if key(base) == key(other) {
			t.Errorf("%s makes no difference", name)
		}
	}
	if same := (request{"t", "b", http.Header{"B": {"3"}, "A": {"1", "2"}, "Via": {"x"}, "X-Request-Id": {"y"}}}); key(base) != key(same) {
		t.Error("what a request came through makes a difference")
	}
}
