package builder

import (
	"strings"
	"testing"
)

// Layers that join values say which shapes do not go together.
func TestJoinsRefuseShapesThatDoNotFit(t *testing.T) {
	for name, test := range map[string]struct {
		layer  Layer
		inputs []Shape
		want   string
	}{
		"product of other channels": {Mul{}, []Shape{{3, 5, 6}, {2, 1, 1}},
			"multiplies 3×5×6 and 2×1×1"},
		"product of a map and a vector": {Mul{}, []Shape{{3, 5, 6}, {3}}, "multiplies 3×5×6 and 3"},
		"product of three":              {Mul{}, []Shape{{3}, {3}, {3}}, "two inputs, not 3"},
		"channels of maps of other size": {Concat{}, []Shape{{3, 5, 6}, {3, 5, 5}},
			"joins 3×5×6 and 3×5×5"},
		"a map and a vector": {Concat{}, []Shape{{3, 5, 6}, {3}}, "joins 3×5×6 and 3"},
		"channels beyond memory": {Concat{}, []Shape{{1 << 30, 1, 1}, {1 << 30, 1, 1}, {1, 1, 1}},
			"more than"},
		"two inputs of a layer of one": {SiLU{}, []Shape{{3}, {3}}, "one input, not 2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.layer.Infer(test.inputs)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want one with %q", err, test.want)
			}
		})
	}
}
