package cloudeventshttp_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/client"
	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func sdkEvent(t *testing.T, id string) ce.Event {
	t.Helper()
	e := ce.New()
	e.SetID(id)
	e.SetSource("/sdk")
	e.SetType("io.github.eiffel-community.EiffelArtifactDeployedEvent")
	e.SetSubject("x")
	e.SetTime(time.Date(2024, 5, 6, 7, 8, 9, 120e6, time.FixedZone("", 7200)))
	e.SetDataSchema("urn:schema")
	e.SetExtension("traceparent", "00-1")
	if err := e.SetData(ce.ApplicationJSON, []byte(`{"meta":{"id":"`+id+`"}}`)); err != nil {
		t.Fatal(err)
	}
	return e
}

func checkSDKMessage(t *testing.T, m transport.Message, id string) {
	t.Helper()
	if m.Protocol != transport.Eiffel || m.ID != id || m.Source != "/sdk" || m.Type != "EiffelArtifactDeployedEvent" || m.Subject != "x" ||
		m.Time != "2024-05-06T05:08:09.12Z" || m.Schema != "urn:schema" || m.Extensions["traceparent"] != "00-1" || string(m.Data) != `{"meta":{"id":"`+id+`"}}` {
		t.Errorf("got %+v with %s", m, m.Data)
	}
}

// The CloudEvents SDK is a client that was written elsewhere.
func TestSDKSends(t *testing.T) {
	s := serve(t, nil, accepted)
	c, err := client.NewHTTP(cehttp.WithTarget(s.url))
	if err != nil {
		t.Fatal(err)
	}
	for i, ctx := range []context.Context{binding.WithForceBinary(t.Context()), binding.WithForceStructured(t.Context())} {
		if result := c.Send(ctx, sdkEvent(t, "one")); !protocol.IsACK(result) {
			t.Fatalf("mode %d: %v", i, result)
		}
		checkSDKMessage(t, s.taken()[i], "one")
	}
	request, err := cehttp.NewHTTPRequestFromEvents(t.Context(), s.url, []ce.Event{sdkEvent(t, "two"), sdkEvent(t, "three")})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	taken := s.taken()
	if response.StatusCode != http.StatusAccepted || len(taken) != 4 {
		t.Fatalf("%d, %d messages", response.StatusCode, len(taken))
	}
	checkSDKMessage(t, taken[2], "two")
	checkSDKMessage(t, taken[3], "three")
}

// The CloudEvents SDK as the receiver.
func TestSDKReceives(t *testing.T) {
	got := make(chan ce.Event, 1)
	p, err := cehttp.New()
	if err != nil {
		t.Fatal(err)
	}
	handler, err := client.NewHTTPReceiveHandler(t.Context(), p, func(e ce.Event) { got <- e })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	for _, mode := range []cloudeventshttp.Mode{cloudeventshttp.Binary, cloudeventshttp.Structured} {
		m := event
		m.ID, m.Subject = "plain", "x"
		if err := publish(t, newSink(t, server.URL, func(s *cloudeventshttp.SinkSettings) { s.Mode = mode }), m); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		e := <-got
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if e.ID() != "plain" || e.Source() != "urn:eiffel" || e.Type() != "io.github.eiffel-community.EiffelArtifactDeployedEvent" || e.Subject() != "x" ||
			!e.Time().Equal(time.Date(2024, 5, 6, 7, 8, 9, 120e6, time.UTC)) || e.DataSchema() != "urn:schema" || e.Extensions()["traceparent"] != "00" ||
			e.DataContentType() != "application/json" || !bytes.Equal(e.Data(), m.Data) {
			t.Errorf("%s: got %v", mode, e)
		}
	}
}
