// Command doctor is slipway doctor as a program of its own. Run it with -h for its flags.
package main

import (
	"os"

	"slipway/internal/command/doctor"
)

func main() { os.Exit(doctor.Main(os.Args[1:])) }
