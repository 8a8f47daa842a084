package translate

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"testing"
)

const benchCDEvent = `{"context":{"specversion":"0.5.1","id":"%s","chainId":"4c8cb7dd-3448-41de-8768-eec704e2829b","source":"https://ci.example.com/job/deploy","type":"dev.cdevents.service.deployed.0.3.0","timestamp":"%s","links":[{"linkType":"RELATION","linkKind":"TRIGGER","target":{"contextId":"5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"},"tags":{"pr":"42"}}]},"subject":{"id":"shop/checkout-%d","source":"https://ci.example.com/job/deploy","content":{"environment":{"id":"prod-eu-1","source":"https://k8s.example.com/clusters/eu-1"},"artifactId":"pkg:oci/checkout@sha256%%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"}},"customData":{"team":"payments","pipelineRun":"4711"},"customDataContentType":"application/json"}`

const benchArtC = `{"meta":{"type":"EiffelArtifactCreatedEvent","version":"3.3.0","time":1710944825000,"id":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee0","source":{"domainId":"example.com","uri":"https://ci.example.com/job/build"}},"data":{"identity":"pkg:oci/checkout@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"},"links":[]}`
const benchED = `{"meta":{"type":"EiffelEnvironmentDefinedEvent","version":"3.3.0","time":1710944825001,"id":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee3","source":{"domainId":"example.com","uri":"https://k8s.example.com/clusters/eu-1"}},"data":{"name":"prod-eu-1"},"links":[]}`
const benchArtD = `{"meta":{"type":"EiffelArtifactDeployedEvent","version":"0.1.0","time":%s,"id":"%s","source":{"domainId":"example.com","uri":"https://ci.example.com/job/deploy","name":"deployer"},"tags":["fast-track"]},"data":{"description":"shop/checkout deployed to prod-eu-1","uri":"https://deployments.example.com/123456","customData":[{"key":"serviceId","value":"checkout-%d"},{"key":"team","value":"payments"},{"key":"pipelineRun","value":"4711"}]},"links":[{"type":"ARTIFACT","target":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee0"},{"type":"CAUSE","target":"5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"},{"type":"ENVIRONMENT","target":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee3"}]}`

// benchmark translates deployments of a thousand services, each a millisecond after the one before.
func benchmark(b *testing.B, before []string, make func(id string, ms int64, service int) []byte) {
	g, err := New(Settings{Returning: ReturningDrop})
	if err != nil {
		b.Fatal(err)
	}
	s := NewSession(g, NewMemoryLedger())
	ctx := context.Background()
	for _, e := range before {
		if _, err := s.Translate(ctx, []byte(e)); err != nil {
			b.Fatal(err)
		}
	}
	var events [][]byte
	for i := range b.N {
		events = append(events, make(newID("bench", fmt.Sprint(i)), 1772355600000+int64(i), i%1000))
	}
	size := 0
	b.ReportAllocs()
	b.ResetTimer()
	for _, e := range events {
		r, err := s.Translate(ctx, e)
		if err != nil {
			b.Fatal(err)
		}
		size += len(r.Events)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func deployedEvent(id string, ms int64, service int) []byte {
	timestamp, _ := timestampFromMillis(ms)
	return fmt.Appendf(nil, benchCDEvent, id, timestamp, service)
}

func BenchmarkServiceDeployed(b *testing.B) { benchmark(b, nil, deployedEvent) }

func BenchmarkArtifactDeployed(b *testing.B) {
	benchmark(b, []string{benchArtC, benchED}, func(id string, ms int64, service int) []byte {
		return fmt.Appendf(nil, benchArtD, strconv.FormatInt(ms, 10), id, service)
	})
}

func BenchmarkDecode(b *testing.B) {
	e := deployedEvent(newID("bench"), 0, 1)
	b.SetBytes(int64(len(e)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(bytes.Clone(e)); err != nil {
			b.Fatal(err)
		}
	}
}
