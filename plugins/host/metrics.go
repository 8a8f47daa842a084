package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
)

// maxMetricsMessage is the size of the largest answer that is read, in bytes: several times that of as many series as are shown.
const maxMetricsMessage = 4 << 20

// scrape is what is known of an incarnation's own metrics.
type scrape struct {
	none    atomic.Bool // it serves none
	wrong   sync.Once   // logs what is wrong with them
	failing atomic.Bool
}

// Metrics asks the plugin what it counts and measures itself, and gives what can be believed of it; what cannot is logged once
// for each incarnation. It gives nothing, and no error, if the plugin has no metrics or does not run. It waits for the plugin until ctx
// ends.
func (p *Process) Metrics(ctx context.Context) ([]*pluginv1.MetricFamily, error) {
	p.mu.Lock()
	i := p.present
	p.mu.Unlock()
	if i == nil || i.Err() != nil || p.Settings().Handshake.Foreign || i.scrape.none.Load() {
		return nil, nil
	}
	response, err := pluginv1.NewPluginServiceClient(i.Conn).Metrics(ctx, &pluginv1.MetricsRequest{}, grpc.MaxCallRecvMsgSize(maxMetricsMessage))
	switch {
	case status.Code(err) == codes.Unimplemented:
		i.scrape.none.Store(true)
		return nil, nil
	case err != nil:
		err = plain(err)
		if i.Err() == nil && !i.scrape.failing.Swap(true) {
			p.logger.Warn("the plugin does not tell its metrics", "error", err)
		}
		return nil, fmt.Errorf("plugin %s does not tell its metrics: %w", p.Name(), err)
	}
	if i.scrape.failing.Swap(false) {
		p.logger.Info("the plugin tells its metrics again")
	}
	sound, wrong := pluginwire.SoundMetrics(response.GetFamilies())
	if len(wrong) > 0 {
		i.scrape.wrong.Do(func() {
			p.logger.Warn("the plugin tells metrics that cannot be shown; they are left out", "error", errors.Join(wrong...))
		})
	}
	return sound, nil
}
