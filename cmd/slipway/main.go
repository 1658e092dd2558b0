// Command slipway has all commands in one program: slipway train, slipway export and the others. A
// link to it that is called as one of them is that command. Run it with -h for their list.
package main

import (
	"os"

	"slipway/internal/command"
	"slipway/internal/mpi"
)

func main() { mpi.Exit(command.Main(os.Args)) }
