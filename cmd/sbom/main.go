// Command sbom is slipway sbom as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/sbom"
)

func main() { os.Exit(sbom.Main(os.Args[1:])) }
