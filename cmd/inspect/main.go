// Command inspect is slipway inspect as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/inspect"
)

func main() { os.Exit(inspect.Main(os.Args[1:])) }
