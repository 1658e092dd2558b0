// Command serve is slipway serve as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/serve"
)

func main() { os.Exit(serve.Main(os.Args[1:])) }
