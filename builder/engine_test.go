package builder_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/kernel"
	"slipway/internal/ops"
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
		if !strings.HasPrefix(said, test.name) || !strings.HasSuffix(said, test.ends) ||
			engine.Name() != test.name {
			t.Errorf("%s with %d threads says %q", test.name, test.threads, said)
		}
		kernels, native := engine.Kernels()
		if native != test.native || (kernels.Set != nil) != test.native {
			t.Errorf("%s: kernels %v, %t", test.name, kernels, native)
		}
	}
	if _, err := builder.NewEngine("tape", 1); err == nil ||
		!strings.Contains(err.Error(), "there are native, gorgonia") {
		t.Errorf("an engine that is none: %v", err)
	}
}

// Only an engine that can multiplies bfloat16, and says so.
func TestEngineMultipliesBF16(t *testing.T) {
	stock, err := builder.NewEngine(builder.EngineGorgonia, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := stock.MultiplyBF16(); err == nil ||
		err.Error() != "engine gorgonia multiplies float32 alone; engine native has bf16" {
		t.Errorf("engine gorgonia: %v", err)
	}
	for _, set := range []string{"portable", ""} {
		t.Setenv(kernel.EnvironmentVariable, set)
		engine, err := builder.NewEngine(builder.EngineNative, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		want := strings.Replace(engine.String(), ", 2 threads", ", bf16, 2 threads", 1)
		cannot := engine.CheckBF16()
		if set != "" && cannot == nil {
			t.Errorf("the kernels %s multiply bfloat16", set)
		}
		if cannot != nil {
			want = engine.String()
		}
		if err := engine.MultiplyBF16(); (err != nil) != (cannot != nil) || engine.String() != want {
			t.Errorf("%v, then %s; want %v and %s", err, engine, cannot, want)
		}
		if kernels, _ := engine.Kernels(); kernels.BF16 != nil {
			t.Error("all that the engine computes is in bfloat16")
		}
	}
}

// What a device compiles is made of operators that describe themselves alone; the engine
// that the native one is checked against computes with Gorgonia's own where it can.
func TestOperatorsOfTheEngines(t *testing.T) {
	network, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	for engine, want := range map[string][]string{
		builder.EnginePlain:    nil,
		builder.EngineGorgonia: {"im2col", "A × B"}, // of convolutions, and of dense layers
	} {
		variables := newVariables(t, network, engine, network.InitialWeights(1))
		graph, err := network.Lower(variables, builder.LowerOptions{Batch: 2, Training: true})
		if err != nil {
			t.Fatal(err)
		}
		var stock []string
		for _, node := range graph.Expr.AllNodes() {
			if _, described := ops.Describe(node.Op()); node.Op() != nil && !described {
				stock = append(stock, fmt.Sprint(node.Op()))
			}
		}
		if want == nil && stock != nil {
			t.Errorf("%s: operators that are not described: %q", engine, stock)
		}
		for _, operator := range want {
			if !slices.ContainsFunc(stock, func(name string) bool {
				return name == operator || strings.HasPrefix(name, operator+"<")
			}) {
				t.Errorf("%s: there is no %s among the stock operators %q", engine, operator, stock)
			}
		}
	}
}
