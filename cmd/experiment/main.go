// Command experiment is slipway experiment as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/experiment"
)

func main() { os.Exit(experiment.Main(os.Args[1:])) }
