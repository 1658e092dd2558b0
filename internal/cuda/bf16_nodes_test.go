//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/ops"
	"slipway/train"
)

// Each value that a machine in bf16 writes is what the plain loop of its operator, in float64,
// makes of the values that the machine reads, rounded where it is kept: nothing of bf16's 8 bits is
// left to a tolerance. The loops and the machine add up in another order, by at most δ = 2e-5 of the
// largest value as in float32 (TestEveryNodeIsThatOfTheTapeMachine); rounding keeps order, so what
// is written lies from the rounded w−δ to the rounded w+δ.
func TestEveryNodeInBF16IsRoundedOnce(t *testing.T) {
	networks := []*builder.Network{everyProduct(t, 20), everyProduct(t, 3), smallNetwork(t),
		mustResidual(t, builder.Shape{2, 9, 8}), mustJoined(t),
		mustNew(t, "wide", builder.Shape{5}, builder.Dense{Units: 6}, builder.ReLU{},
			builder.Dropout{P: 0.3}, builder.Dense{Units: 20})}
	for _, family := range []string{"resnet", "resnet-bottleneck", "mobilenet-v2", "mobilenet-v3",
		"squeezenet", "convnext"} {
		networks = append(networks, families(t)[family])
	}
	for i, network := range networks {
		for _, batch := range []int{1, 5} {
			t.Run(fmt.Sprintf("%d-%s/%d", i, network.Name(), batch), func(t *testing.T) {
				config := train.Config{Seed: 4, ParameterPenalty: train.Penalty{L1: 0.01, L2: 0.1}}
				compareRounded(t, plainGraph(t, network, config, batch))
			})
		}
	}
}

// The same of each kind of the registry.
func TestEveryLayerInBF16IsRoundedOnce(t *testing.T) {
	for i, c := range builder.Cases() {
		t.Run(fmt.Sprintf("%d-%s", i, c.Layer.Kind()), func(t *testing.T) {
			compareRounded(t, plainGraph(t, behindLayers(t, c), train.Config{Seed: 4}, 3))
		})
	}
}

// And of the other losses.
func TestLossesInBF16AreRoundedOnce(t *testing.T) {
	network := mustNew(t, "losses", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)}, builder.ReLU{}, builder.Flatten{},
		builder.Dense{Units: 4})
	for name, loss := range map[string]train.Loss{
		"smoothed": {Smoothing: 0.1}, "focal": {Name: "focal", Gamma: 2}, "binary": {Name: "binary"},
	} {
		t.Run(name, func(t *testing.T) {
			compareRounded(t, plainGraph(t, network, train.Config{Seed: 4, Loss: loss}, 7))
		})
	}
}

// roundedGraph runs a graph in bf16 node by node on the host, rounding where the device does.
type roundedGraph struct {
	t       *testing.T
	machine *Machine
	// alone says that it goes on from what it has computed itself, and not from what the device has.
	alone  bool
	values map[*gorgonia.Node]gorgonia.Value // as who reads them has them
}

func compareRounded(t *testing.T, graph *train.LossGraph) {
	t.Helper()
	machine := compiledIn(t, openForBF16(t), graph, bf16)
	for range 2 { // a second run changes nothing
		if err := machine.RunAll(); err != nil {
			t.Fatal(err)
		}
	}
	r := roundedGraph{t: t, machine: machine, values: make(map[*gorgonia.Node]gorgonia.Value)}
	maps := 0
	for _, node := range sorted(machine.options.Wanted) {
		if machine.halves.maps[node] {
			maps++
		}
		r.look(node)
	}
	if maps == 0 {
		t.Error("nothing is kept in bf16")
	}
}

// look computes a node of what the device has of its operands, and compares it with what the device
// has of it, if it has.
func (r roundedGraph) look(node *gorgonia.Node) {
	m := r.machine
	if node.Op() == nil {
		r.values[node] = node.Value()
		switch {
		case m.halves.maps[node] && r.alone:
			r.values[node] = inHalves(node, node.Value())
		case m.halves.maps[node]:
			r.values[node] = r.onDevice(node)
		}
		return
	}
	d, _ := ops.Describe(node.Op())
	operands := ops.Operands(node)
	if d.Kind == ops.HandedOn { // whose operand's Do computes it, from its own values
		r.do(operands[0], r.inputs(operands[0]))
	}
	want := r.do(node, r.inputs(node))
	if terms := r.inputs(node); d.Kind == ops.Addition && len(terms) > 2 && m.halves.maps[node] {
		want = r.sumOf(node, terms)
	}
	product := hasBias(node) && len(operands) > 2
	inBF16 := m.halves.maps[node]
	if d.Kind == ops.Conv2DWeightGradient && !isDepthwise(d, node.Shape()) {
		inBF16 = true // as cuDNN writes it
	}
	switch {
	case product && (inBF16 || m.fusion.hidden[node]):
		r.lookAtProduct(node, d)
	case m.fusion.hidden[node] || penalisedLater(m, node):
		if inBF16 && penalisedLater(m, node) {
			want = inHalves(node, want)
		}
		r.values[node] = want
	case r.alone:
		if inBF16 {
			want = inHalves(node, want)
		}
		r.values[node] = want
	default:
		r.values[node] = r.onDevice(node)
		r.compare(nodeName(node), floatsOf(r.values[node]), floatsOf(want), func(w float32) float32 {
			if !inBF16 {
				return w
			}
			return toBFloat16(w).float32()
		})
	}
}

// sumOf adds up more than two terms as the device does: a launch each, which keeps its sum.
func (r roundedGraph) sumOf(node *gorgonia.Node, terms []gorgonia.Value) gorgonia.Value {
	sum := floatsOf(terms[0])
	for place, term := range terms[1:] {
		for i, value := range floatsOf(term) {
			if sum[i] += value; place < len(terms)-2 {
				sum[i] = toBFloat16(sum[i]).float32()
			}
		}
	}
	return tensorOf(node, sum)
}

// lookAtProduct compares a product with a bias, which is rounded without and, unless the launch
// behind it adds the bias, again with it.
func (r roundedGraph) lookAtProduct(node *gorgonia.Node, d ops.Description) {
	operands := ops.Operands(node)
	inputs, area := r.inputs(node), 1
	if d.Kind == ops.Conv2DForward {
		area = node.Shape()[2] * node.Shape()[3]
	}
	bias := floatsOf(inputs[2])
	inputs[2] = tensorOf(operands[2], make([]float32, len(bias)))
	alone := floatsOf(r.do(node, inputs))
	if r.alone {
		sum := widened(narrowed(alone))
		for i := range sum {
			sum[i] += bias[i/area%len(bias)]
		}
		if r.values[node] = tensorOf(node, sum); !r.machine.fusion.hidden[node] {
			r.values[node] = inHalves(node, r.values[node])
		}
		return
	}
	got := r.onDevice(node)
	if r.machine.fusion.hidden[node] {
		r.compare(nodeName(node)+" without bias", floatsOf(got), alone,
			func(w float32) float32 { return toBFloat16(w).float32() })
		sum := floatsOf(got)
		for i := range sum {
			sum[i] += bias[i/area%len(bias)]
		}
		r.values[node] = tensorOf(node, sum)
		return
	}
	r.values[node] = got
	at := 0
	r.compare(nodeName(node), floatsOf(got), alone, func(w float32) float32 {
		b := bias[at/2/area%len(bias)]
		at++ // it is asked of both ends of each value
		return toBFloat16(toBFloat16(w).float32() + b).float32()
	})
}

// compare fails unless each value lies between both ends of what is wanted.
func (r roundedGraph) compare(what string, got, want []float32, rounded func(float32) float32) {
	r.t.Helper()
	largest := 0.0
	for _, w := range want {
		if w := math.Abs(float64(w)); !math.IsInf(w, 0) && !math.IsNaN(w) {
			largest = max(largest, w)
		}
	}
	delta := float32(2e-5 * largest)
	wrong := 0
	for i, w := range want {
		low, high := rounded(w-delta), rounded(w+delta)
		if !(low <= got[i] && got[i] <= high) && !(w != w && got[i] != got[i]) {
			if wrong++; wrong == 1 {
				r.t.Errorf("%s: value %d is %v, want %v to %v", what, i, got[i], low, high)
			}
		}
	}
	if wrong > 1 {
		r.t.Errorf("%s: %d of %d values are wrong", what, wrong, len(want))
	}
}

// penalisedLater reports whether a node's memory holds another one's value in the end.
func penalisedLater(m *Machine, node *gorgonia.Node) bool {
	if view := m.fusion.readerOf(node, ops.View); view != nil && penalisedLater(m, view) {
		return true
	}
	return m.fusion.readerOf(node, ops.PenalisedGradient) != nil &&
		kindOf(node) != ops.ParameterPenaltyForward
}

// inputs are what the device has of a node's operands, weights as they are multiplied.
func (r roundedGraph) inputs(node *gorgonia.Node) []gorgonia.Value {
	var all []gorgonia.Value
	for place, operand := range ops.Operands(node) {
		value := r.values[operand]
		switch kindOf(node) {
		case ops.Conv2DForward, ops.Conv2DInputGradient, ops.DenseForward, ops.DenseInputGradient:
			if place == 1 {
				value = inHalves(operand, value)
			}
		}
		all = append(all, value)
	}
	return all
}

// do computes a node on the host, into memory of its own.
func (r roundedGraph) do(node *gorgonia.Node, inputs []gorgonia.Value) gorgonia.Value {
	r.t.Helper()
	own := make([]gorgonia.Value, len(inputs))
	for i, input := range inputs {
		own[i] = input
		if dense, ok := input.(*tensor.Dense); ok {
			own[i] = dense.Clone().(*tensor.Dense)
		}
	}
	value, err := node.Op().Do(own...)
	if err != nil {
		r.t.Fatalf("%s: %v", nodeName(node), err)
	}
	return tensorOf(node, floatsOf(value))
}

// onDevice downloads what a node's memory holds.
func (r roundedGraph) onDevice(node *gorgonia.Node) gorgonia.Value {
	r.t.Helper()
	var values []float32
	if err := r.machine.gpu.thread.do(func() (err error) {
		values, err = r.machine.downloadMap(node, max(node.Shape().TotalSize(), 1))
		return err
	}); err != nil {
		r.t.Fatalf("%s: %v", nodeName(node), err)
	}
	return tensorOf(node, values)
}

// inHalves is a value of a node's, rounded.
func inHalves(node *gorgonia.Node, value gorgonia.Value) gorgonia.Value {
	return tensorOf(node, widened(narrowed(floatsOf(value))))
}

// floatsOf returns a copy of a value's numbers.
func floatsOf(value gorgonia.Value) []float32 {
	switch value := value.(type) {
	case *gorgonia.F32:
		return []float32{float32(*value)}
	case *tensor.Dense:
		if value.Dtype() == tensor.Float32 {
			return append([]float32(nil), value.Float32s()...)
		}
	}
	return nil
}

// tensorOf is a value of a node's shape.
func tensorOf(node *gorgonia.Node, values []float32) gorgonia.Value {
	if node.Shape().Dims() == 0 {
		return gorgonia.NewF32(values[0])
	}
	return tensor.New(tensor.WithShape(node.Shape()...), tensor.WithBacking(values))
}
