package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// settings are the plugin's configuration.
type settings struct {
	Broker   string `json:"broker"`    // host:port
	Topic    string `json:"topic"`     // to subscribe to (wildcards are allowed) or to publish to
	ClientID string `json:"client_id"` // of the source: the broker keeps what comes while it is away under this name
	Username string `json:"username"`
	Password string `json:"password"`

	Window        uint16 `json:"window"`         // messages in flight
	SessionExpiry uint32 `json:"session_expiry"` // seconds for which the broker keeps messages for a source that is away
}

func readSettings(config []byte) (settings, error) {
	s := settings{Broker: "127.0.0.1:1883", Window: 1024, SessionExpiry: 7 * 24 * 3600}
	if err := sdk.DecodeConfig(config, &s); err != nil {
		return s, err
	}
	switch {
	case s.Topic == "":
		return s, errors.New("topic is missing")
	case s.Window == 0:
		return s, errors.New("window: 0 lets no message through")
	}
	return s, nil
}

const (
	keepAlive    = 30 // seconds
	patience     = 10 * time.Second
	acksInterval = 5 * time.Millisecond
	reconnectMin = 20 * time.Millisecond
	reconnectMax = 5 * time.Second
	retryPause   = time.Second
	busyPause    = 100 * time.Millisecond
)

// dial makes one connection. A paho client has one only, which is what is wanted here: what belongs to a connection ends with it.
func dial(ctx context.Context, s settings, config paho.ClientConfig, connect *paho.Connect) (*paho.Client, *paho.Connack, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Broker)
	if err != nil {
		return nil, nil, err
	}
	config.Conn = packets.NewThreadSafeConn(conn)
	config.PacketTimeout = patience
	connect.KeepAlive = keepAlive
	if s.Username != "" {
		connect.Username, connect.UsernameFlag = s.Username, true
		connect.Password, connect.PasswordFlag = []byte(s.Password), s.Password != ""
	}
	client := paho.NewClient(config)
	answer, err := client.Connect(ctx, connect)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("connect to %s: %w", s.Broker, err)
	}
	return client, answer, nil
}

// sleep waits, and tells whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// encode follows the CloudEvents MQTT protocol binding, section 3.1 (binary content mode): attributes are user properties.
func encode(m transport.Message, topic string) *paho.Publish {
	p := &paho.Publish{QoS: 1, Topic: topic, Payload: m.Data, Properties: &paho.PublishProperties{ContentType: "application/json"}}
	add := func(name, value string) {
		if value != "" {
			p.Properties.User.Add(name, value)
		}
	}
	add("specversion", "1.0")
	add("id", m.ID)
	add("source", m.Source)
	add("type", m.CloudEventsType())
	add("subject", m.Subject)
	add("time", m.Time)
	add("dataschema", m.Schema)
	for name, value := range m.Extensions {
		add(name, value)
	}
	return p
}

// decode leaves what it does not know to the relay, which looks into the event.
func decode(p *paho.Publish) transport.Message {
	m := transport.Message{Data: p.Payload}
	for _, property := range p.Properties.User {
		value := property.Value
		switch property.Key {
		case "specversion":
		case "id":
			m.ID = value
		case "source":
			m.Source = value
		case "type":
			m.SetCloudEventsType(value)
		case "subject":
			m.Subject = value
		case "time":
			m.Time = value
		case "dataschema":
			m.Schema = value
		case "traceparent", "tracestate":
			if m.Extensions == nil {
				m.Extensions = map[string]string{}
			}
			m.Extensions[property.Key] = value
		}
	}
	return m
}
