// Command dataset is slipway dataset as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/dataset"
)

func main() { os.Exit(dataset.Main(os.Args[1:])) }
