// Command page-server serves the folder that scripts/demo/build makes on the loopback
// address, until it is interrupted. Run it with -h for its flags.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"slipway/internal/cli"
)

const usage = `page-server serves the browser page on this machine's loopback address alone, until it is interrupted.

  page-server
  page-server -port 0            # a free port; the address is printed

Exit status: 0 interrupted; 1 the page cannot be served; 2 wrong usage.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := cli.NewFlagSet("page-server", usage, stderr)
	folder := flags.String("folder", filepath.Join("bin", "demo"), "`folder` of the page")
	port := flags.Int("port", 8028, "port, or 0 for a free one")
	version := flags.Bool("version", false, "print the version")
	err := cli.Parse(flags, args)
	if err == nil && (*port < 0 || *port > 65535) {
		err = fmt.Errorf("-port %d: 0…65535 is wanted", *port)
	}
	if code, done := cli.Parsed("page-server", err, *version, stdout, stderr); done {
		return code
	}
	if err := serve(ctx, *folder, *port, stdout); err != nil {
		return cli.Fail(stderr, "page-server", err)
	}
	return cli.ExitOK
}

// serve prints the page's address once it can be opened, and returns when ctx ends.
func serve(ctx context.Context, folder string, port int, stdout io.Writer) error {
	if _, err := os.Stat(filepath.Join(folder, "index.html")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no page in %s: make demo builds it", folder)
		}
		return fmt.Errorf("the page: %w", err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("%w; -port 0 takes a free port", err)
	}
	server := &http.Server{Handler: handler(folder), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "http://%s/\n", listener.Addr())
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", folder, err)
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(finish); err != nil {
		return errors.Join(fmt.Errorf("end the server: %w", err), server.Close())
	}
	return nil
}

// handler serves a folder's files. Their types do not depend on what the system
// knows: browsers run no module and compile no WebAssembly of another type.
func handler(folder string) http.Handler {
	types := map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".mjs":  "text/javascript; charset=utf-8",
		".svg":  "image/svg+xml",
		".wasm": "application/wasm",
		".onnx": "application/octet-stream",
		"":      "text/plain; charset=utf-8",
	}
	files := http.FileServer(http.Dir(folder))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		if name == "/" {
			name = "index.html"
		}
		if kind, ok := types[filepath.Ext(name)]; ok {
			w.Header().Set("Content-Type", kind)
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}
