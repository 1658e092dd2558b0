// Command export is slipway export as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/export"
)

func main() { os.Exit(export.Main(os.Args[1:])) }
