//go:build unix

package torture

import (
	"context"
	"fmt"
	"strings"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is a proxy on a connection that faults are made in.
type link struct {
	proxy *toxiproxy.Proxy
}

func newLink(name, upstream string) (*link, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	logger := zerolog.Nop()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), logger), name, listen, upstream)
	if err := proxy.Start(); err != nil {
		return nil, fmt.Errorf("proxy for %s: %w", name, err)
	}
	return &link{proxy}, nil
}

func (l *link) address() string { return l.proxy.Listen }

// cut closes all connections and refuses new ones.
func (l *link) cut() { l.proxy.Stop() }

func (l *link) mend() error { return l.proxy.Start() }

// add puts a toxic on both ways, and remove takes it away.
func (l *link) add(kind, attributes string) error {
	for _, stream := range []string{"upstream", "downstream"} {
		text := fmt.Sprintf(`{"name": "%s-%s", "type": %q, "stream": %q, "toxicity": 1, "attributes": %s}`, kind, stream, kind, stream, attributes)
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return fmt.Errorf("toxic %s: %w", kind, err)
		}
	}
	return nil
}

func (l *link) remove(ctx context.Context, kind string) error {
	for _, stream := range []string{"upstream", "downstream"} {
		if err := l.proxy.Toxics.RemoveToxic(ctx, kind+"-"+stream); err != nil {
			return fmt.Errorf("toxic %s: %w", kind, err)
		}
	}
	return nil
}

func (l *link) close() { l.proxy.Stop() }
