// Command verify is slipway verify as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/verify"
)

func main() { os.Exit(verify.Main(os.Args[1:])) }
