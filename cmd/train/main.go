// Command train is slipway train as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/train"
	"slipway/internal/mpi"
)

func main() { mpi.Exit(train.Main(os.Args[1:])) }
