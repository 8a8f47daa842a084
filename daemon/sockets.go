package daemon

import (
	"net"
	"os"
	"slices"
	"sync"
)

// sockets are the listening sockets of a daemon's sources. A source that a reload puts in the place of another one on the same
// address listens on the same socket, so that no connection is refused while the two change places.
type sockets struct {
	mu   sync.Mutex
	open map[string][]*net.TCPListener // by the address as it is configured; some may be closed
}

func newSockets() *sockets { return &sockets{open: map[string][]*net.TCPListener{}} }

// listen is net.Listen, or a duplicate of a socket that is open. Closing what it gives closes that alone.
func (s *sockets) listen(network, address string) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var file *os.File
	s.open[address] = slices.DeleteFunc(s.open[address], func(l *net.TCPListener) bool {
		f, err := l.File() // which fails once the listener is closed
		if err != nil {
			return true
		}
		if file != nil {
			_ = f.Close()
			return false
		}
		file = f
		return false
	})
	var l net.Listener
	var err error
	if file != nil {
		l, err = net.FileListener(file)
		_ = file.Close()
	} else {
		l, err = net.Listen(network, address)
	}
	if err != nil {
		return nil, err
	}
	if tcp, ok := l.(*net.TCPListener); ok {
		s.open[address] = append(s.open[address], tcp)
	}
	return l, nil
}
