// Command sign signs models in the format of OpenSSF's model signing, makes keys for it, and attests
// the conformance table. Run it with -h for its flags.
package main

import (
	"context"
	"os"

	"slipway/internal/cli"
	"slipway/internal/command/sign"
)

func main() {
	os.Exit(cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return sign.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}))
}
