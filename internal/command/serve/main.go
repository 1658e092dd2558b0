// Package serve is the command serve. It answers about pictures over HTTP and gRPC with ONNX image
// classifiers, by the Open Inference Protocol and for pictures posted as they are. Run it with -h
// for its flags.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"slipway/infer/serve"
	"slipway/internal/cli"
)

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	// A log that nobody reads any more ends nothing.
	cli.KeepOnBrokenPipe()
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, args, os.Getenv, os.Stdout, os.Stderr)
	})
}

// run is Main without the process: it returns the exit code, 0 for a server that was asked to end
// and has, 1 for failure and 2 for wrong usage.
func run(ctx context.Context, args []string, environment func(string) string, stdout,
	stderr io.Writer) int {
	o, err := parse(args, environment, stdout)
	if code, done := cli.Parsed("serve", err, err == nil && o.version, stdout, stderr); done {
		return code
	}
	o.listening.Announce = func(url string) { fmt.Fprintln(stdout, url) }
	config, err := o.config(stderr)
	if err == nil {
		err = serve.Run(ctx, config, o.listening)
	}
	switch {
	case errors.Is(err, serve.ErrPublic):
		return cli.Usage(stderr, "serve",
			fmt.Errorf("%w; give -token-file, or -without-token if they may", err))
	case err != nil:
		return cli.Fail(stderr, "serve", err)
	}
	return cli.ExitOK
}
