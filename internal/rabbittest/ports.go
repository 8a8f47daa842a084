//go:build unix

package rabbittest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// A block of ports belongs to a server from Start to Close, also while its node
// is down: a listener of ours on the block's first port, that nobody connects
// to, keeps the nodes of all test binaries on this machine apart and goes away
// with this process. The range is below the ports that Linux and macOS hand out
// for outgoing connections, which could otherwise take a port while its node is
// down.
const (
	portsFirst = 20000
	portsLast  = 32000
	blockSize  = 5
)

type ports struct {
	lock                  net.Listener
	epmd, amqp, dist, tls int
}

func reservePorts() (*ports, error) {
	n := (portsLast - portsFirst) / blockSize
	for range 200 {
		base := portsFirst + blockSize*rand.IntN(n)
		lock, err := listen(base)
		if err != nil {
			continue
		}
		if portFree(base+1) && portFree(base+2) && portFree(base+3) && portFree(base+4) {
			return &ports{lock: lock, epmd: base + 1, amqp: base + 2, dist: base + 3, tls: base + 4}, nil
		}
		lock.Close()
	}
	return nil, errors.New("no five free ports in a row found on 127.0.0.1")
}

func (p *ports) release() { p.lock.Close() }

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", loopback(port))
}

func portFree(port int) bool {
	l, err := listen(port)
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
