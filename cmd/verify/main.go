// Command verify holds models against their signatures, and says what an attestation of tests says.
// Run it with -h for its flags.
package main

import (
	"context"
	"os"

	"slipway/internal/cli"
	"slipway/internal/command/verify"
)

func main() {
	os.Exit(cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return verify.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}))
}
