// Command sbom writes the machine-learning bill of materials of an ONNX model. Run it with -h for its
// flags.
package main

import (
	"context"
	"os"

	"slipway/internal/cli"
	"slipway/internal/command/sbom"
)

func main() {
	os.Exit(cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return sbom.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}))
}
