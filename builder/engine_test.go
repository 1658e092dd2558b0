package builder_test

import (
	"strings"
	"testing"

	"slipway/builder"
)

// An engine says what it computes with: only the native one has kernels, and threads.
func TestEngineNamesWhatItComputesWith(t *testing.T) {
	for _, test := range []struct {
		name    string
		threads int
		native  bool
		ends    string
	}{
		{builder.EngineNative, 1, true, ", 1 thread)"},
		{builder.EngineNative, 2, true, ", 2 threads)"},
		{builder.EngineGorgonia, 2, false, builder.EngineGorgonia},
		{builder.EnginePlain, 2, false, builder.EnginePlain},
	} {
		engine, err := builder.NewEngine(test.name, test.threads)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		said := engine.String()
		if !strings.HasPrefix(said, test.name) || !strings.HasSuffix(said, test.ends) || engine.Name() != test.name {
			t.Errorf("%s with %d threads says %q", test.name, test.threads, said)
		}
		kernels, native := engine.Kernels()
		if native != test.native || (kernels.Set != nil) != test.native {
			t.Errorf("%s: kernels %v, %t", test.name, kernels, native)
		}
	}
	if _, err := builder.NewEngine("tape", 1); err == nil || !strings.Contains(err.Error(), "there are native, gorgonia") {
		t.Errorf("an engine that is none: %v", err)
	}
}
