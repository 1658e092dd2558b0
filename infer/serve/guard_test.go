package serve_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/infer/serve"
)

const token = "0123456789abcdef0123456789abcdef"

// With a token everything but health and the page, which tells nothing, is for those who have it.
func TestToken(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}, Token: token})
	paths := map[string]string{"/v2": "GET", "/v2/models/small": "GET", "/v2/models/none": "GET",
		"/v2/models/small/ready": "GET", "/metrics": "GET",
		"/v2/repository/index": "POST", "/v2/models/small/infer": "POST",
		"/v2/models/small/classify": "POST", "/nowhere": "GET"}
	for path, method := range paths {
		for _, wrong := range []string{"", "Bearer", "Bearer ", "Bearer " + token + "0", "Bearer " +
			token[1:], "Basic " + token, token} {
			a := s.ask(method, path, map[string]string{"Authorization": wrong}, nil)
			a.wantError(t, http.StatusUnauthorized, "Authorization: Bearer TOKEN")
			if a.header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(string(a.body), "small") {
				t.Errorf("%s: %v %s", path, a.header, a.body)
			}
		}
	}
	for _, path := range []string{"/v2/health/live", "/v2/health/ready", "/"} {
		if a := s.ask("GET", path, nil, nil); a.status != http.StatusOK ||
			strings.Contains(string(a.body), "small") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for _, scheme := range []string{"Bearer ", "bearer "} {
		if a := s.ask("GET", "/v2/models/small", map[string]string{"Authorization": scheme + token,
			"Host": "elsewhere.example"}, nil); a.status != http.StatusOK {
			t.Errorf("with the token: %d %s", a.status, a.body)
		}
	}
	if strings.Contains(s.log.String(), token) {
		t.Error("the token is logged")
	}
}

// Without a token a page elsewhere cannot ask through somebody's browser under a name of its own.
func TestOtherHostsAreRefused(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}})
	for host, ok := range map[string]bool{"localhost": true, "LOCALHOST:80": true, "a.localhost": true,
		"127.0.0.1:8000": true, "127.9.9.9": true,
		"[::1]:8000": true, "evil.example": false, "evil.example:8000": false,
		"localhost.evil.example": false, "10.0.0.1": false, "[::2]": false} {
		for _, path := range []string{"/v2", "/", "/metrics"} {
			a := s.ask("GET", path, map[string]string{"Host": host}, nil)
			if ok && a.status != http.StatusOK {
				t.Errorf("%s is refused %s: %d %s", host, path, a.status, a.body)
			} else if !ok {
				a.wantError(t, http.StatusMisdirectedRequest, "names another host")
			}
		}
	}
}

// Without a token a page elsewhere cannot make the server compute, though it could not read the
// answer.
func TestPagesElsewhereAreRefused(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}})
	body := request("image", "FP32", []int{1, 1, 28, 28}, noise(1, 1, 784))
	for name, header := range map[string]map[string]string{
		"by its site":   {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
		"by its origin": {"Origin": "http://evil.example", "Content-Type": "text/plain"},
		"without one":   {"Origin": "null"},
		"by its port":   {"Sec-Fetch-Site": "same-site"},
	} {
		for _, path := range []string{"/v2/models/small/infer", "/v2/models/small/classify",
			"/v2/repository/index"} {
			a := s.ask("POST", path, header, body)
			if a.status != http.StatusForbidden {
				t.Errorf("%s: %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
	for name, header := range map[string]map[string]string{
		"the page": {"Sec-Fetch-Site": "same-origin", "Origin": s.url},
		"an older": {"Origin": s.url},
		"no page":  {},
	} {
		if a := s.ask("POST", "/v2/models/small/infer", header, body); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// With a token, which no page elsewhere has, nothing else is asked.
func TestPagesElsewhereWithTheToken(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}, Token: token})
	if a := s.ask("POST", "/v2/models/small/infer", map[string]string{"Sec-Fetch-Site": "cross-site",
		"Authorization": "Bearer " + token}, request("image", "FP32", []int{1, 1, 28, 28},
		noise(1, 1, 784))); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// unclean are paths that are not written as they are meant.
func unclean() []string {
	return []string{"//v2/models/small", "/v2/./models/small", "/v2/models/../models/small", "/v2//",
		"//"}
}

// Paths that are not written as they are meant lead nowhere, and only those who may ask are told.
func TestPathsThatAreNotClean(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{BodyTime: 300 * time.Millisecond}})
	for _, path := range unclean() {
		for _, method := range []string{"GET", "POST"} {
			s.ask(method, path, nil, nil).wantError(t, http.StatusNotFound, "there is nothing at")
			s.ask(method, path, map[string]string{"Host": "evil.example"}, nil).wantError(t,
				http.StatusMisdirectedRequest, "names another host")
		}
	}
	// A body that was announced and does not come is waited for as long as any.
	for _, head := range []string{"OPTIONS * HTTP/1.1", "POST //v2/models/small/infer HTTP/1.1"} {
		for _, length := range []string{"Content-Length: 100\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n"} {
			conn := s.connect(t, head+"\r\nHost: localhost\r\n"+length)
			respond(t, conn).wantError(t, http.StatusNotFound, "there is nothing at")
			wantClosed(t, conn)
		}
	}
}

// With a token they are told to nobody else.
func TestPathsThatAreNotCleanWithAToken(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}, Token: token})
	for _, path := range unclean() {
		for _, method := range []string{"GET", "POST"} {
			s.ask(method, path, nil, nil).wantError(t, http.StatusUnauthorized, "bears no token")
		}
	}
}

// certificate writes a certificate of 127.0.0.1 and its key.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	pool = x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(text)
	for path, text := range map[string][]byte{certFile: text,
		keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, pool
}

// Run serves HTTPS, and HTTP/2 with it, until its context ends.
func TestRunServesTLS(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	ctx, stop := context.WithCancel(t.Context())
	url, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Config{Models: []string{modelFile("small")}},
			serve.Listening{HTTP: "127.0.0.1:0", CertFile: certFile, KeyFile: keyFile,
				Announce: func(u string) { url <- u }})
	}()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	response, err := client.Get(<-url + "v2/health/ready")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Errorf("%s %s", response.Proto, response.Status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// An address that others reach needs a token, or a word that it shall not.
func TestRunRefusesToServeEveryone(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		if err := serve.Run(ended, serve.Config{Models: []string{modelFile("small")}},
			serve.Listening{HTTP: address}); !errors.Is(err, serve.ErrPublic) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for says, listening := range map[string]serve.Listening{
		"listen: ": {HTTP: "127.0.0.1:port"},
		"TLS: ":    {HTTP: "127.0.0.1:0", CertFile: "nowhere.pem", KeyFile: "nowhere.pem"},
	} {
		if err := serve.Run(t.Context(), serve.Config{Models: []string{modelFile("small")}},
			listening); err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	if err := serve.Run(ended, serve.Config{Models: []string{modelFile("small")}, Token: token},
		serve.Listening{HTTP: "0.0.0.0:0"}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a token: %v", err)
	}
}

// A server that is told to end answers what it has begun, is not ready, and takes no more.
func TestDrain(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}, MaxWait: 500 * time.Millisecond,
		DrainDelay: 200 * time.Millisecond})
	answered := make(chan answer, 1)
	body := request("image", "FP32", []int{1, 1, 28, 28}, noise(1, 1, 784))
	go func() { answered <- s.ask("POST", "/v2/models/small/infer", nil, body) }()
	eventually(t, func() error {
		if s.metric(t, "slipway_requests_in_flight ") == 0 {
			return errors.New("the request does not arrive")
		}
		return nil
	})
	s.stop()
	eventually(t, func() error {
		a, err := s.do("GET", "/v2/health/ready", nil, http.NoBody)
		if err == nil && a.status != http.StatusServiceUnavailable {
			return errors.New("it is ready")
		}
		return nil
	})
	if a := <-answered; a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	err := <-s.ended
	s.ended <- err
	if err != nil {
		t.Error(err)
	}
	if _, err := s.do("GET", "/v2/health/live", nil, http.NoBody); err == nil {
		t.Error("it still answers")
	}
}

// Requests that do not end in time are cut off, and the server ends.
func TestDrainHasAnEnd(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{DrainTime: 50 * time.Millisecond}})
	conn := s.connect(t, head+"Content-Length: 1000\r\n\r\n{")
	eventually(t, func() error {
		if s.metric(t, "slipway_requests_in_flight ") == 0 {
			return errors.New("the request does not arrive")
		}
		return nil
	})
	s.stop()
	wantClosed(t, conn)
	err := <-s.ended
	s.ended <- err
	if !strings.Contains(s.log.String(), "were cut off") {
		t.Error("that it was cut off is not logged")
	}
}
