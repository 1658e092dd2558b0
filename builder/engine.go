package builder

import (
	"fmt"
	"strings"
)

// Engines that a network can be lowered to. Both run on Gorgonia's graph,
// differentiation and TapeMachine.
const (
	// EngineGorgonia uses Gorgonia's stock operators, and Slipway's plain ones
	// where those are wrong or missing. It is slow, and is what the native
	// engine is checked against.
	EngineGorgonia = "gorgonia"

	// DefaultEngine is the engine used where none is named.
	DefaultEngine = EngineGorgonia
)

// EngineNames lists the engines there are.
func EngineNames() []string { return []string{EngineGorgonia} }

func checkEngine(name string) error {
	for _, known := range EngineNames() {
		if name == known {
			return nil
		}
	}
	return fmt.Errorf("unknown engine %q; there are %s", name, strings.Join(EngineNames(), ", "))
}
