// Command sign is slipway sign as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/sign"
)

func main() { os.Exit(sign.Main(os.Args[1:])) }
