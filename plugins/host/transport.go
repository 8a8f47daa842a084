package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/client"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// NewSource makes a source of a transport plugin that was started with AsSource. It outlives the plugin's incarnations: when one
// ends, what was not settled is delivered again by the next one, and settlements that come after that have no effect. It hands
// over from one goroutine.
//
// It does not close the process. onClose, if not nil, is called once, after the source was closed.
func NewSource(p *Process, onClose func() error) transport.Source {
	return client.NewSource(p.Name(), &transportLink{process: p, onClose: onClose, fits: func(d *pluginv1.DescribeResponse) error {
		if !d.GetSource() {
			return errors.New("it is no source: it can only be what a relay publishes to")
		}
		return nil
	}}, p.logger)
}

// NewSink makes a sink of a transport plugin that was started with AsSink. It outlives the plugin's incarnations: when one ends,
// every message that was open gets an error that is worth a retry.
//
// Whether it is ordered is what the plugin says, so that NewSink waits for it to run, until ctx ends. A sink whose plugin does not run by
// then is not ordered, which only costs speed.
//
// It does not close the process. onClose, if not nil, is called once, after the sink was closed.
func NewSink(ctx context.Context, p *Process, onClose func() error) transport.Sink {
	ordered := false
	if i, err := p.Wait(ctx); err == nil {
		ordered = i.Description.GetOrdered()
	} else {
		p.logger.Warn("the plugin does not run yet; the relay does not rely on its keeping the order until the next start", "error", err)
	}
	return client.NewSink(p.Name(), ordered, &transportLink{process: p, onClose: onClose, fits: func(d *pluginv1.DescribeResponse) error {
		switch {
		case !d.GetSink():
			return errors.New("it is no sink: it can only be what a relay receives from")
		case ordered && !d.GetOrdered():
			return errors.New("it does not keep the order any more, as it did when the relay started: restart the relay")
		}
		return nil
	}}, p.logger)
}

// transportLink is a process for a source or a sink.
type transportLink struct {
	process *Process
	fits    func(*pluginv1.DescribeResponse) error
	onClose func() error
}

var _ client.Link = (*transportLink)(nil)

// Connect implements [client.Link].
func (l *transportLink) Connect(ctx context.Context) (client.Connection, error) {
	i, err := l.process.Wait(ctx)
	if err != nil {
		return client.Connection{}, err
	}
	d := i.Description
	if d.GetKind() != pluginv1.Kind_KIND_TRANSPORT {
		return client.Connection{}, fmt.Errorf("it is no transport (%s says that it is %s)", d.GetName(), d.GetKind())
	}
	if err := l.fits(d); err != nil {
		return client.Connection{}, err
	}
	return client.Connection{ClientConnInterface: i.Conn, Worked: i.Worked, Fail: i.Fail}, nil
}

// Health implements [client.Link].
func (l *transportLink) Health() error { return l.process.Health() }

// Release implements [client.Link].
func (l *transportLink) Release(context.Context) error {
	if l.onClose == nil {
		return nil
	}
	return l.onClose()
}
