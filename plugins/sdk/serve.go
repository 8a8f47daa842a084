package sdk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
)

const (
	cookieName  = "EIFFELBRIDGE_PLUGIN"
	cookieValue = "a-plugin-of-eiffelbridge"

	protocolVersion = 1
	maxMessage      = 64 << 20

	leaseWait = 30 * time.Second // without a lease, the host is taken to be gone
	drainTime = 10 * time.Second // after SIGTERM, for the host to make do without this process
	stopTime  = 5 * time.Second  // for calls under way when the host is gone or has drained
)

// served is a plugin of any kind.
type served struct {
	description *pluginv1.DescribeResponse
	configure   func(context.Context, *pluginv1.ConfigureRequest) error // may be nil; an error is the configuration's
	register    func(*grpc.Server)
	readiness   func() string         // may be nil: why it is not ready, empty if it is
	stop        func(context.Context) // may be nil; ends what is under way, calls included, before ctx does
	metrics     *Metrics              // may be nil
}

// serve serves the plugin until its host is gone.
func serve(s served) error {
	if os.Getenv(cookieName) != cookieValue {
		return fmt.Errorf("%s is a plugin of Eiffel Bridge, which starts it by itself; to try it: eiffelbridge plugins test %s", filepath.Base(os.Args[0]), os.Args[0])
	}
	if err := speaksOurs(os.Getenv("PLUGIN_PROTOCOL_VERSIONS")); err != nil {
		slog.Error(err.Error()) // the host says so in its own words, once it has seen the handshake
	}
	if err := s.metrics.begin(); err != nil {
		return err
	}
	handshake := os.Stdout
	os.Stdout = os.Stderr
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})))

	listener, err := listen()
	if err != nil {
		return fmt.Errorf("listen for the host: %w", err)
	}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage)}
	own := ""
	if pem := os.Getenv("PLUGIN_CLIENT_CERT"); pem != "" {
		config, der, err := mutualTLS([]byte(pem))
		if err != nil {
			_ = listener.Close()
			return fmt.Errorf("make a certificate: %w", err)
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
		own = base64.RawStdEncoding.EncodeToString(der)
	}
	server := grpc.NewServer(options...)
	p := &pluginServer{served: s, leased: make(chan struct{}), over: make(chan struct{}), terminating: make(chan struct{})}
	alive := health.NewServer()
	alive.SetServingStatus("plugin", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, alive)
	pluginv1.RegisterPluginServiceServer(server, p)
	server.RegisterService(&controllerService, p)
	s.register(server)

	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	defer signal.Stop(term)
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt) // a terminal's Ctrl-C is for the host, which ends the plugin when it has drained
	defer signal.Stop(interrupt)

	var serving sync.WaitGroup
	var serveErr error
	serving.Go(func() { serveErr = server.Serve(listener) })
	address := listener.Addr()
	if _, err := fmt.Fprintf(handshake, "1|%d|%s|%s|grpc|%s\n", protocolVersion, address.Network(), address, own); err != nil {
		server.Stop()
		serving.Wait()
		return fmt.Errorf("write the handshake: %w", err)
	}

	gone := hostGone()
	select {
	case <-p.over:
	case <-gone:
		slog.Info("the host is gone")
	case <-time.After(leaseWait):
		select {
		case <-p.leased:
			select {
			case <-p.over:
			case <-gone:
			case <-term:
				p.drain(gone)
			}
		default:
			slog.Warn("no host has taken the lease")
		}
	case <-term:
		p.drain(gone)
	}
	p.shutdown() // ends the lease, if there still is one
	if s.stop != nil {
		stopping, cancel := context.WithTimeout(context.Background(), stopTime)
		s.stop(stopping)
		cancel()
	}
	stopped := make(chan struct{})
	go func() { server.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(stopTime):
		server.Stop()
	}
	serving.Wait()
	return serveErr
}

// drain waits after SIGTERM until the host has no more use for this process: a service manager sends the signal to the
// host at the same time, which needs its plugins until it has drained.
func (p *pluginServer) drain(gone <-chan struct{}) {
	close(p.terminating)
	select {
	case <-p.leased:
	default:
		return
	}
	select {
	case <-p.over:
	case <-gone:
	case <-time.After(drainTime):
	}
}

func speaksOurs(versions string) error {
	if versions == "" || slices.Contains(strings.Split(versions, ","), strconv.Itoa(protocolVersion)) {
		return nil
	}
	return fmt.Errorf("the host speaks version %s of the plugin protocol, this plugin version %d: build it with an SDK of the host's version", versions, protocolVersion)
}

func listen() (net.Listener, error) {
	// A Unix socket in a folder that the host made for it; the name of one has a hundred bytes.
	if dir := os.Getenv("PLUGIN_UNIX_SOCKET_DIR"); dir != "" && len(dir) < 90 {
		if l, err := net.Listen("unix", filepath.Join(dir, "plugin")); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// mutualTLS is go-plugin's AutoMTLS: both sides show a certificate that was made for this start.
func mutualTLS(clientPEM []byte) (*tls.Config, []byte, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(clientPEM) {
		return nil, nil, errors.New("the host's certificate (PLUGIN_CLIENT_CERT) cannot be read")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:      pkix.Name{CommonName: "localhost", Organization: []string{"Eiffel Bridge plugin"}},
		DNSNames:     []string{"localhost"},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		SerialNumber: serial, BasicConstraintsValid: true, IsCA: true,
		NotBefore: time.Now().Add(-time.Minute),
		NotAfter:  time.Now().Add(30 * 365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		MinVersion:   tls.VersionTLS12,
	}, der, nil
}

// hostGone is closed when the process that started this one has ended: the pipe that is its standard input ends then, and
// its parent is another.
func hostGone() <-chan struct{} {
	gone := make(chan struct{})
	var once sync.Once
	over := func() { once.Do(func() { close(gone) }) }
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			over()
		}()
	}
	go func() {
		parent := os.Getppid()
		for range time.Tick(time.Second) {
			if os.Getppid() != parent {
				over()
				return
			}
		}
	}()
	return gone
}

// pluginServer serves PluginService and go-plugin's way to ask for the end.
type pluginServer struct {
	pluginv1.UnimplementedPluginServiceServer
	served

	leasing, ending sync.Once
	leased          chan struct{}
	over            chan struct{} // the host has ended its lease, or asked for the end
	terminating     chan struct{}
	configuring     sync.Mutex
	configured      bool
}

// Describe implements the service.
func (p *pluginServer) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return p.description, nil
}

// Configure implements the service.
func (p *pluginServer) Configure(ctx context.Context, in *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	p.configuring.Lock()
	defer p.configuring.Unlock()
	if p.configured {
		return nil, status.Error(codes.FailedPrecondition, "the plugin has been configured")
	}
	if p.configure != nil {
		if err := p.configure(ctx, in); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	} else if len(in.GetConfig()) > 0 {
		return nil, status.Error(codes.InvalidArgument, "this plugin takes no config")
	}
	p.configured = true
	return &pluginv1.ConfigureResponse{}, nil
}

// Metrics implements the service.
func (p *pluginServer) Metrics(context.Context, *pluginv1.MetricsRequest) (*pluginv1.MetricsResponse, error) {
	if p.metrics == nil {
		return nil, status.Error(codes.Unimplemented, "the plugin has no metrics of its own")
	}
	return p.metrics.now(), nil
}

// Lease implements the service.
func (p *pluginServer) Lease(_ *pluginv1.LeaseRequest, stream grpc.ServerStreamingServer[pluginv1.LeaseResponse]) error {
	first := false
	p.leasing.Do(func() { first = true; close(p.leased) })
	if !first {
		return status.Error(codes.FailedPrecondition, "the plugin is leased already")
	}
	defer p.ending.Do(func() { close(p.over) })
	said, terminating := "", p.terminating
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		reason := ""
		if p.readiness != nil {
			reason = p.readiness()
		}
		select {
		case <-p.terminating:
			reason, terminating = "it was asked to end (SIGTERM)", nil
		default:
		}
		if i == 0 || reason != said {
			said = reason
			if err := stream.Send(&pluginv1.LeaseResponse{Ready: reason == "", Reason: reason}); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-terminating:
		case <-p.over:
			return nil
		case <-stream.Context().Done():
			return nil
		}
	}
}

// controllerService is go-plugin's plugin.GRPCController, by which a host asks for the end.
var controllerService = grpc.ServiceDesc{
	ServiceName: "plugin.GRPCController",
	HandlerType: (*interface{ shutdown() })(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Shutdown",
		Handler: func(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			if err := decode(new(emptypb.Empty)); err != nil {
				return nil, err
			}
			server.(interface{ shutdown() }).shutdown()
			return new(emptypb.Empty), nil
		},
	}},
}

func (p *pluginServer) shutdown() {
	p.ending.Do(func() { close(p.over) })
}
