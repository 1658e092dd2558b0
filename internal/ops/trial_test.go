package ops_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/scripts/golden/goldentest"
)

// build applies what is tried to the nodes of its inputs.
type build func(inputs gorgonia.Nodes) (*gorgonia.Node, error)

// array is an input: float32 values and their shape.
type array struct {
	shape  []int
	values []float32
}

// trial is an operator in a graph of its own, with the gradients of Σ y·dy for
// given dy. Its inputs and dy can be written between two runs.
type trial struct {
	inputs    [][]float32
	dy        []float32
	output    *gorgonia.Node
	gradients gorgonia.Nodes
	machine   gorgonia.VM
}

// newTrial makes the graph. All inputs are float32 tensors with gradients.
func newTrial(t *testing.T, apply build, inputs ...array) *trial {
	t.Helper()
	g := gorgonia.NewGraph()
	tr := new(trial)
	var nodes gorgonia.Nodes
	for i, input := range inputs {
		values := slices.Clone(input.values)
		tr.inputs = append(tr.inputs, values)
		nodes = append(nodes, gorgonia.NewTensor(g, tensor.Float32, len(input.shape),
			gorgonia.WithShape(input.shape...),
			gorgonia.WithName(string(rune('a'+i))),
			gorgonia.WithValue(tensor.New(tensor.WithShape(input.shape...), tensor.WithBacking(values)))))
	}
	var err error
	if tr.output, err = apply(nodes); err != nil {
		t.Fatal(err)
	}
	var upstream *gorgonia.Node
	if shape := tr.output.Shape(); shape.Dims() == 0 {
		upstream = gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("dy"))
		tr.dy = make([]float32, 1)
	} else {
		tr.dy = make([]float32, shape.TotalSize())
		upstream = gorgonia.NewTensor(g, tensor.Float32, shape.Dims(), gorgonia.WithShape(shape...),
			gorgonia.WithName("dy"),
			gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(tr.dy))))
	}
	if tr.gradients, err = gorgonia.Backpropagate(gorgonia.Nodes{tr.output}, gorgonia.Nodes{upstream},
		nodes); err != nil {
		t.Fatal(err)
	}
	tr.machine = gorgonia.NewTapeMachine(g)
	if upstream.Shape().Dims() == 0 {
		// A scalar node keeps a value of its own, not the slice.
		run := tr.machine
		tr.machine = scalarUpstream{run, upstream, tr}
	}
	t.Cleanup(func() { tr.machine.Close() })
	return tr
}

// scalarUpstream writes dy into its scalar node before each run.
type scalarUpstream struct {
	gorgonia.VM
	node  *gorgonia.Node
	trial *trial
}

func (s scalarUpstream) RunAll() error {
	if err := gorgonia.Let(s.node, s.trial.dy[0]); err != nil {
		return err
	}
	return s.VM.RunAll()
}

// run executes the graph and returns copies of y and of the gradients.
func (tr *trial) run(t *testing.T) (y []float32, gradients [][]float32) {
	t.Helper()
	tr.machine.Reset()
	if err := tr.machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	for _, gradient := range tr.gradients {
		gradients = append(gradients, floats(t, gradient.Value()))
	}
	return floats(t, tr.output.Value()), gradients
}

// floats copies the values of a float32 tensor or scalar.
func floats(t *testing.T, value gorgonia.Value) []float32 {
	t.Helper()
	switch v := value.(type) {
	case *gorgonia.F32:
		return []float32{float32(*v)}
	case *tensor.Dense:
		if v.Shape().IsScalar() {
			return []float32{v.ScalarValue().(float32)}
		}
		return slices.Clone(v.Float32s())
	}
	t.Fatalf("value is a %T", value)
	return nil
}

// reader returns a golden tensor in the layout of the operator that is tried.
type reader func(name string) array

// channelsFirst reads golden tensors as they are.
func channelsFirst(t *testing.T, c goldentest.Case) reader {
	return func(name string) array { return array{c.Shape(t, name), c.Floats(t, name)} }
}

// checkGolden runs the operator on the golden inputs and compares the output and
// the gradients: once, and again after a run on other values, which must leave
// nothing behind.
func checkGolden(t *testing.T, golden reader, apply build, inputs, gradients []string,
	tolerance goldentest.Tolerance) {
	t.Helper()
	arrays := make([]array, len(inputs))
	for i, name := range inputs {
		arrays[i] = golden(name)
	}
	tr := newTrial(t, apply, arrays...)
	check := func(when string) {
		t.Helper()
		copy(tr.dy, golden("dy").values)
		y, dx := tr.run(t)
		goldentest.Compare(t, "y"+when, y, golden("y").values, tolerance)
		for i, name := range gradients {
			goldentest.Compare(t, name+when, dx[i], golden(name).values, tolerance)
		}
		for i, name := range inputs {
			goldentest.Compare(t, name+when, tr.inputs[i], arrays[i].values, goldentest.Tolerance{})
		}
	}
	check("")
	check(", run again")
	for i := range tr.inputs {
		fill(tr.inputs[i], float32(i)-0.5, 0.37)
	}
	fill(tr.dy, 3, -0.11)
	tr.run(t)
	for i := range tr.inputs {
		copy(tr.inputs[i], arrays[i].values)
	}
	check(", after other values")
}

func fill(values []float32, start, step float32) {
	for i := range values {
		values[i] = start + float32(i%17)*step
	}
}

// checkFiniteDifferences compares each gradient of Σ y·dy with
// (Σ y(x+h)·dy − Σ y(x−h)·dy) / 2h. The sums are in float64 and the step is a
// power of two, so that x ± h is exact and what remains is the rounding of y
// (about 1e-7/h) and, where the operator is not piecewise linear, h²/6 of its third
// derivative.
func checkFiniteDifferences(t *testing.T, apply build, inputs ...array) {
	t.Helper()
	tr := newTrial(t, apply, inputs...)
	fill(tr.dy, 1.25, -0.15625)
	_, gradients := tr.run(t)
	sum := func() float64 {
		y, _ := tr.run(t)
		total := 0.0
		for i := range y {
			total += float64(y[i]) * float64(tr.dy[i])
		}
		return total
	}
	for i, values := range tr.inputs {
		expected := make([]float32, len(values))
		for k, x := range values {
			values[k] = x + step
			above := sum()
			values[k] = x - step
			below := sum()
			values[k] = x
			expected[k] = float32((above - below) / (2 * step))
		}
		goldentest.Compare(t, "gradient "+string(rune('a'+i)), gradients[i], expected,
			goldentest.Tolerance{Relative: 1e-3, OfLargest: 1e-3})
	}
}

// step is that of checkFiniteDifferences.
const step = 1.0 / 64

// spaced returns an input whose values are further from each other and from 0
// than two steps, in an order without pattern, so that no step crosses a kink
// of a rectifier, a maximum or an absolute value.
func spaced(shape ...int) array {
	count := tensor.Shape(shape).TotalSize()
	stride := 1
	for _, candidate := range []int{61, 37, 17, 7, 3} {
		if candidate < count && count%candidate != 0 {
			stride = candidate
			break
		}
	}
	values := make([]float32, count)
	for i := range values {
		values[i] = (float32(i*stride%count-count/2) + 0.5) * 4 * step
	}
	return array{shape, values}
}

func TestSpacedInputsKeepAwayFromKinks(t *testing.T) {
	for _, shape := range [][]int{{1}, {2}, {3, 5}, {2, 3, 6, 5}, {61}, {122}} {
		values := spaced(shape...).values
		slices.Sort(values)
		for i, x := range values {
			if math.Abs(float64(x)) <= step {
				t.Errorf("%v: %v is within a step of 0", shape, x)
			}
			if i > 0 && x-values[i-1] <= 2*step {
				t.Errorf("%v: %v and %v are within two steps", shape, values[i-1], x)
			}
		}
	}
}
