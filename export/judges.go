package export

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway/infer"
	"slipway/onnx"
)

// Usual stands in Options.Verify for the runtimes that are asked where nobody names others:
// onnxruntime, and onnx-go or, where that refuses the graph, native. onnx-go is the better second
// opinion, since it shares nothing with the trainer, but it knows few operators.
const Usual = "usual"

// notAsked is a runtime that gave no opinion, and why.
type notAsked struct {
	Runtime string `json:"runtime"`
	Reason  string `json:"reason"`
}

// judges returns the names of the runtimes to ask, and those that are passed over, since they
// refuse the graph: of Usual, and of all where options say so.
func judges(ctx context.Context, model *onnx.Model, options Options) (
	asked []string, passed []notAsked, err error,
) {
	usual := slices.Contains(options.Verify, Usual)
	if !usual && !options.PassOver {
		return options.Verify, nil, nil
	}
	refused, err := refusals(ctx, model)
	if err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	add := func(name string, mayRefuse bool) (added bool) {
		reason, refuses := refused[name]
		switch {
		case refuses && mayRefuse:
			if !slices.ContainsFunc(passed, func(n notAsked) bool { return n.Runtime == name }) {
				passed = append(passed, notAsked{name, reason})
			}
			return false
		case !slices.Contains(asked, name):
			asked = append(asked, name)
		}
		return true
	}
	for _, name := range options.Verify {
		if name != Usual {
			add(name, options.PassOver)
			continue
		}
		add(infer.RuntimeONNXRuntime, false)
		if !add(infer.RuntimeONNXGo, true) {
			add(infer.RuntimeNative, true)
		}
	}
	if len(asked) == 0 {
		return nil, nil, fmt.Errorf("verify: none of %s runs the graph: %s: %s",
			strings.Join(options.Verify, ", "), passed[0].Runtime, passed[0].Reason)
	}
	return asked, passed, nil
}

// refusals are those of this program's own runtimes that say that they do not run the model.
func refusals(ctx context.Context, model *onnx.Model) (map[string]string, error) {
	verdicts, err := infer.Support(ctx, model)
	if err != nil {
		return nil, err
	}
	refused := make(map[string]string)
	for _, v := range verdicts {
		own := v.Runtime == infer.RuntimeNative || v.Runtime == infer.RuntimeONNXGo
		if !own || v.Expectation != infer.ExpectRefuses {
			continue
		}
		var reasons []string
		for _, reason := range v.Reasons {
			reasons = append(reasons, reason.Text)
		}
		refused[v.Runtime] = strings.Join(reasons, "; ")
	}
	return refused, nil
}

// foreign are the names of Options.Verify that scripts/conformance asks.
func foreign(verify []string) []string {
	return slices.DeleteFunc(slices.Clone(verify), func(name string) bool {
		return name == Usual || slices.Contains(Runtimes(), name)
	})
}
