package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// Listening says where and how Run listens.
type Listening struct {
	// HTTP is the address, such as 127.0.0.1:8000; port 0 is a free one.
	HTTP string
	// CertFile and KeyFile are those of TLS, PEM; both empty for none.
	CertFile, KeyFile string
	// Public lets anyone who reaches an address that is not this machine's own ask without a token.
	Public bool
	// Announce, if not nil, is called with the URL once requests are answered.
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
	listener, err := listen(ctx, listening, config.Token != "")
	if err != nil {
		return err
	}
	server, err := New(ctx, config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if config.Token != "" && config.TLS == nil && !isLoopback(listener.Addr()) {
		server.config.Logger.Warn("the token travels unencrypted: give a certificate, or let something before this server do so")
	}
	if listening.Announce != nil {
		scheme := "http"
		if config.TLS != nil {
			scheme = "https"
		}
		listening.Announce(scheme + "://" + listener.Addr().String() + "/")
	}
	return server.Serve(ctx, listener)
}

// listen opens the address, if it may be.
func listen(ctx context.Context, listening Listening, token bool) (net.Listener, error) {
	address, err := net.ResolveTCPAddr("tcp", listening.HTTP)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if !token && !listening.Public && !isLoopback(address) {
		return nil, fmt.Errorf("listen on %s: %w", listening.HTTP, ErrPublic)
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
