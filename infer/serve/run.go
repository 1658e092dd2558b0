package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// Listening says where and how Run listens.
type Listening struct {
	// HTTP and GRPC are the addresses of the two protocols, such as 127.0.0.1:8000, "" for none;
	// port 0 is a free one.
	HTTP, GRPC string
	// CertFile and KeyFile are those of TLS, PEM; both empty for none.
	CertFile, KeyFile string
	// Public lets anyone who reaches an address that is not this machine's own ask without a token.
	Public bool
	// Announce, if not nil, is called with each address as a URL, once the models are loaded.
	Announce func(url string)
}

// ErrPublic says that an address that others reach was to be served without a token. It is refused,
// not warned of: one colon typed without a host opens a server to the whole network, and nobody
// reads the log of a server that works.
var ErrPublic = errors.New("others than this machine reach this address, and no token is set")

// Run listens, loads the models and serves them until ctx ends; then it drains, and returns nil.
func Run(ctx context.Context, config Config, listening Listening) (err error) {
	if listening.CertFile != "" || listening.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(listening.CertFile, listening.KeyFile)
		if err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	doors, err := listening.open(ctx, config)
	if err != nil {
		return err
	}
	server, err := New(ctx, config)
	if err != nil {
		return errors.Join(err, closeAll(doors))
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, len(doors))
	for _, d := range doors {
		if config.Token != "" && config.TLS == nil && !isLoopback(d.listener.Addr()) {
			server.config.Logger.Warn("the token travels unencrypted: give a certificate, " +
				"or let something before this server do so")
		}
		if listening.Announce != nil {
			listening.Announce(d.scheme + "://" + d.listener.Addr().String() + "/")
		}
		serve := server.Serve
		if d.grpc {
			serve = server.ServeGRPC
		}
		go func() { ended <- serve(ctx, d.listener) }()
	}
	for range doors {
		err = errors.Join(err, <-ended)
		stop() // where one has failed, the other ends as well
	}
	return err
}

// A door is where clients of one protocol come in.
type door struct {
	listener net.Listener
	scheme   string
	grpc     bool
}

// open opens all addresses, or none.
func (l Listening) open(ctx context.Context, config Config) (doors []door, err error) {
	secure := ""
	if config.TLS != nil {
		secure = "s"
	}
	for _, wanted := range []struct {
		address, scheme string
		grpc            bool
	}{{l.HTTP, "http", false}, {l.GRPC, "grpc", true}} {
		if wanted.address == "" {
			continue
		}
		listener, err := listen(ctx, wanted.address, config.Token != "" || l.Public)
		if err != nil {
			return nil, errors.Join(err, closeAll(doors))
		}
		doors = append(doors, door{listener, wanted.scheme + secure, wanted.grpc})
	}
	if len(doors) == 0 {
		return nil, errors.New("there is no address to listen on")
	}
	return doors, nil
}

func (d door) Close() error { return d.listener.Close() }

func closeAll[C io.Closer](all []C) error {
	var errs []error
	for _, one := range all {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// listen opens an address; anyone says that it may be one that others reach.
func listen(ctx context.Context, text string, anyone bool) (net.Listener, error) {
	address, err := net.ResolveTCPAddr("tcp", text)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if !anyone && !isLoopback(address) {
		return nil, fmt.Errorf("listen on %s: %w", text, ErrPublic)
	}
	var config net.ListenConfig // with keep-alive, which finds half-open connections
	listener, err := config.Listen(ctx, "tcp", address.String())
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
