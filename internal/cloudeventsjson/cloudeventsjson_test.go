package cloudeventsjson_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func TestDecode(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for name, c := range map[string]struct {
		body string
		want transport.Message
	}{
		"all attributes": {
			`{"specversion":"1.0","id":"i","source":"/s","type":"dev.cdevents.service.deployed.0.2.0","subject":"x","time":"2024-05-06T09:08:07.120+02:00","dataschema":"urn:s","traceparent":"00-a","tracestate":"k=v","other":"o","datacontenttype":"application/json","data": {"a" : 1.0e1, "b":[ ]} }`,
			transport.Message{Protocol: transport.CDEvents, ID: "i", Source: "/s", Type: "dev.cdevents.service.deployed.0.2.0", Subject: "x", Time: "2024-05-06T07:08:07.12Z", Schema: "urn:s",
				Extensions: map[string]string{"traceparent": "00-a", "tracestate": "k=v"}, Data: []byte(`{"a" : 1.0e1, "b":[ ]}`)},
		},
		"eiffel": {
			`{"data":{},"type":"io.github.eiffel-community.EiffelArtifactCreatedEvent","source":"s","id":"i","specversion":"1.0","time":"2024-05-06T07:08:07.120Z"}`,
			transport.Message{Protocol: transport.Eiffel, ID: "i", Source: "s", Type: "EiffelArtifactCreatedEvent", Time: "2024-05-06T07:08:07.120Z", Data: []byte(`{}`)},
		},
		"custom cdevent, escapes, null attribute, no time": {
			`{"specversion":"1.0","\u0069d":"\u00e9\n","source":"s","type":"dev.cdeventsx.acme-a.b.0.1.0","subject":null,"time":"yesterday","data":[]}`,
			transport.Message{Protocol: transport.CDEvents, ID: "é\n", Source: "s", Type: "dev.cdeventsx.acme-a.b.0.1.0", Data: []byte(`[]`)},
		},
		"unknown vocabulary, base64": {
			`{"specversion":"1.0","id":"i","source":"s","type":"com.example","data_base64":"eyJhIjogMX0="}`,
			transport.Message{ID: "i", Source: "s", Type: "com.example", Data: []byte(`{"a": 1}`)},
		},
		"json in a text": {
			`{"specversion":"1.0","id":"i","source":"s","type":"com.example","datacontenttype":"text/plain","data":"{\"a\": 1}"}`,
			transport.Message{ID: "i", Source: "s", Type: "com.example", Data: []byte(`{"a": 1}`)},
		},
		"string as json": {
			`{"specversion":"1.0","id":"i","source":"s","type":"com.example","datacontenttype":"application/x+json; charset=utf-8","data":"[{"}`,
			transport.Message{ID: "i", Source: "s", Type: "com.example", Data: []byte(`"[{"`)},
		},
		"event at the depth limit": {
			`{"specversion":"1.0","id":"i","source":"s","type":"com.example","data":` + deep + `}`,
			transport.Message{ID: "i", Source: "s", Type: "com.example", Data: []byte(deep)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := cloudeventsjson.Decode([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		body, wantErr, wantID string
	}{
		"empty":           {``, "the text is empty", ""},
		"cut off":         {`{"id":"i","source":"s"`, "the text ends within a value", "i"},
		"not an object":   {`[1]`, "must be a JSON object", ""},
		"more text":       {`{"id":"i"} {}`, "more text after the value", "i"},
		"no id":           {`{"specversion":"1.0","source":"s","type":"t","data":{}}`, "id is missing", ""},
		"no source":       {`{"specversion":"1.0","id":"i","type":"t","data":{}}`, "source is missing", "i"},
		"no type":         {`{"specversion":"1.0","id":"i","source":"s","data":{}}`, "type is missing", "i"},
		"no specversion":  {`{"id":"i","source":"s","type":"t","data":{}}`, "specversion is missing", "i"},
		"old specversion": {`{"specversion":"0.3","id":"i","source":"s","type":"t","data":{}}`, `specversion is "0.3"`, "i"},
		"no data":         {`{"specversion":"1.0","id":"i","source":"s","type":"t"}`, "data is missing", "i"},
		"both data":       {`{"specversion":"1.0","id":"i","source":"s","type":"t","data":1,"data_base64":"aaaa"}`, "exclude each other", "i"},
		"bad base64":      {`{"specversion":"1.0","id":"i","source":"s","type":"t","data_base64":"%"}`, "not base64", "i"},
		"number id":       {`{"specversion":"1.0","id":1,"source":"s","type":"t","data":{}}`, "id must be a string", ""},
		"duplicate":       {`{"id":"i","id":"j"}`, "duplicate", "i"},
		"duplicate deep":  {`{"id":"i","data":{"a":{"b":1,"b":2}}}`, "duplicate", "i"},
		"invalid UTF-8":   {"{\"id\":\"i\",\"data\":\"\xff\"}", "UTF-8", "i"},
		"lone surrogate":  {`{"id":"i","data":"\ud800"}`, "surrogate", "i"},
		"too deep": {`{"specversion":"1.0","id":"i","source":"s","type":"t","data":{"[":` + strings.Repeat("[", 110) + strings.Repeat("]", 110) + `}}`,
			"deeper than 100", "i"},
		"bare event": {`{"context":{"id":"x","type":"t"},"subject":{"id":"y"}}`, "specversion is missing", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := cloudeventsjson.Decode([]byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("error is %v, want one with %q", err, c.wantErr)
			}
			if string(got.Data) != c.body || got.Type != "" || got.Protocol != "" || got.ID != c.wantID {
				t.Errorf("message is %+v", got)
			}
			var syntax *jsondoc.SyntaxError
			var attribute *cloudeventsjson.AttributeError
			if !errors.As(err, &syntax) && !errors.As(err, &attribute) {
				t.Errorf("error is a %T", err)
			}
		})
	}
}

func TestDecodeBatch(t *testing.T) {
	const good = `{"specversion":"1.0","id":"i","source":"s","type":"com.example","data":{"a": 1}}`
	messages, err := cloudeventsjson.DecodeBatch([]byte(` [ ` + good + `, {"id":"j","id":"k"} ,` + good + `,7] `))
	var bad *cloudeventsjson.BatchError
	if !errors.As(err, &bad) || len(messages) != 4 || len(bad.Errors) != 2 || bad.Errors[1] == nil || bad.Errors[3] == nil {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	for i, want := range []string{`{"a": 1}`, `{"id":"j","id":"k"}`, `{"a": 1}`, `7`} {
		if string(messages[i].Data) != want {
			t.Errorf("message %d holds %s, want %s", i, messages[i].Data, want)
		}
	}
	if !strings.Contains(err.Error(), "element 1 of the batch and 1 more") {
		t.Error(err)
	}
	if messages, err := cloudeventsjson.DecodeBatch([]byte(`[]`)); err != nil || len(messages) != 0 {
		t.Error(messages, err)
	}
	for _, body := range []string{``, `{}`, `[`, `[{}`, `[{} {}]`, `[],`, `[nul]`} {
		if messages, err := cloudeventsjson.DecodeBatch([]byte(body)); err == nil || messages != nil {
			t.Errorf("%s: %v, %v", body, messages, err)
		}
	}
}

func TestAppend(t *testing.T) {
	m := transport.Message{Protocol: transport.Eiffel, ID: `a"b`, Source: "s", Type: "EiffelActivityFinishedEvent", Time: "2024-05-06T07:08:07.120Z", Schema: "urn:x",
		Extensions: map[string]string{"tracestate": "k=v", "traceparent": "00", "Bad-Name": "x", "data": "x"}, Data: []byte(`{"meta": {}}`)}
	const want = `{"specversion":"1.0","id":"a\"b","source":"s","type":"io.github.eiffel-community.EiffelActivityFinishedEvent","time":"2024-05-06T07:08:07.120Z","dataschema":"urn:x","datacontenttype":"application/json","traceparent":"00","tracestate":"k=v","data":{"meta": {}}}`
	if got := string(cloudeventsjson.Append(nil, m)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	// Data that would break out of the envelope does not.
	m.Data = []byte(`{},"id":"forged"`)
	got := cloudeventsjson.Append([]byte("x"), m)[1:]
	if !json.Valid(got) || !bytes.Contains(got, []byte(base64.StdEncoding.EncodeToString(m.Data))) {
		t.Errorf("got %s", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"i","source":"s","type":"io.github.eiffel-community.E","time":"2024-05-06T07:08:07+02:00","traceparent":"t","data":{"a" : [1.0]}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"i","source":"s","type":"t","data_base64":"e30="}`))
	f.Add([]byte(`{"specversion":"1.0","\u0069d":"i","source":"s","type":"t","datacontenttype":"text/plain","data":"x\\"}`))
	f.Add([]byte(`[{"id":"i","id":"j"},7]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		m, err := cloudeventsjson.Decode(body)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if !bytes.Equal(m.Data, body) || m.Type != "" {
				t.Fatalf("an undecodable body is not handed on as it is: %+v", m)
			}
		} else {
			again, err := cloudeventsjson.Decode(cloudeventsjson.Append(nil, m))
			if err != nil && strings.Contains(err.Error(), "nested deeper") {
				return // base64 and texts are not looked into, JSON is
			}
			if len(m.Data) > 0 && (err != nil || !reflect.DeepEqual(again, m)) {
				t.Fatalf("%v:\n got %+v\nwant %+v", err, again, m)
			}
		}
		if messages, err := cloudeventsjson.DecodeBatch(body); err == nil || messages != nil {
			for _, m := range messages {
				if !bytes.Contains(body, m.Data) && !bytes.Contains(body, []byte("data_base64")) && !bytes.Contains(body, []byte(`\`)) {
					t.Fatalf("data is not of the body: %s", m.Data)
				}
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"specversion":"1.0","id":"i","source":"/s","type":"dev.cdevents.service.deployed.0.2.0","subject":"x","time":"2024-05-06T09:08:07Z","data":{"context":"` + strings.Repeat("x", 800) + `"}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cloudeventsjson.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	m := transport.Message{ID: "i", Source: "/s", Type: "dev.cdevents.service.deployed.0.2.0", Subject: "x", Time: "2024-05-06T09:08:07Z", Data: []byte(`{"context":"` + strings.Repeat("x", 800) + `"}`)}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = cloudeventsjson.Append(buf[:0], m)
	}
}
