// Command infer is slipway infer as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/infer"
)

func main() { os.Exit(infer.Main(os.Args[1:])) }
