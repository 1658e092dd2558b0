package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/cli"
)

// page makes a folder with a file of each kind that the page has.
func page(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"index.html", "style.css", "main.mjs", "icon.svg", "NOTICE",
		"vendor/ort.wasm", "models/e1.onnx"} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestServesFilesWithTheirTypesOnLoopbackUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"-folder", page(t), "-port", "0"}, writer, &stderr) }()
	address, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(parsed.Hostname()); ip == nil || !ip.IsLoopback() {
		t.Errorf("%s is not on loopback", address)
	}
	for name, want := range map[string]string{
		"": "text/html; charset=utf-8", "style.css": "text/css; charset=utf-8",
		"main.mjs": "text/javascript; charset=utf-8",
		"icon.svg": "image/svg+xml", "NOTICE": "text/plain; charset=utf-8",
		"vendor/ort.wasm": "application/wasm",
		"models/e1.onnx":  "application/octet-stream",
	} {
		response, err := http.Get(address + name)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK ||
			got != want {
			t.Errorf("%q: status %d, type %q; want 200, %q", name, response.StatusCode, got, want)
		}
	}
	response, err := http.Get(address + "missing.mjs")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("a missing file: status %d, want 404", response.StatusCode)
	}
	interrupt()
	select {
	case got := <-code:
		if got != cli.ExitOK || stderr.Len() > 0 {
			t.Errorf("exit code %d, stderr %q; want 0 and nothing", got, stderr.String())
		}
	case <-time.After(5 * time.Minute):
		t.Fatal("the server goes on after the interrupt")
	}
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no page":           {[]string{"-folder", t.TempDir()}, cli.ExitFailure, "make demo"},
		"a port in use":     {[]string{"-folder", page(t), "-port", port}, cli.ExitFailure, "-port 0"},
		"no port":           {[]string{"-port", "65536"}, cli.ExitUsage, "-port 65536"},
		"a flag misspelled": {[]string{"-prot", "1"}, cli.ExitUsage, `did you mean -port?`},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code ||
				!strings.Contains(stderr.String(), c.want) {
				t.Errorf("exit code %d, stderr %q; want %d and %q", code, stderr.String(), c.code, c.want)
			}
		})
	}
}
