package builder

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// goldenBatch is layers.py's.
const goldenBatch = 3

// layerGolden is a layer alone and what PyTorch says of it.
type layerGolden struct {
	goldentest.Case
	network  *Network
	at       int
	training bool
}

// eachGolden runs the test on every case of every layer, in training and in evaluation.
func eachGolden(t *testing.T, test func(t *testing.T, g layerGolden)) {
	t.Helper()
	golden := make(map[string][]goldentest.Case)
	for _, c := range goldentest.Read(t, "testdata/layers.safetensors").Cases {
		name := strings.TrimSuffix(strings.TrimSuffix(c.Name, ", training"), ", evaluation")
		golden[name] = append(golden[name], c)
	}
	for _, c := range Cases() {
		cases := golden[c.String()]
		if len(cases) == 0 {
			t.Errorf("%v has no golden values; run scripts/golden/make-golden layers", c)
		}
		delete(golden, c.String())
		network, err := c.Network("golden")
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range cases {
			for _, mode := range one.Modes {
				t.Run(c.String()+"/"+mode, func(t *testing.T) {
					test(t, layerGolden{one, network, len(network.nodes) - 2, mode == "training"})
				})
			}
		}
	}
	for name := range golden {
		t.Errorf("there are golden values of %s, which is no case; run scripts/golden/make-golden layers",
			name)
	}
}

func (g layerGolden) node() Node { return g.network.nodes[g.at] }

// tensorName is a tensor's name without the layer's.
func (g layerGolden) tensorName(spec TensorSpec) string {
	return strings.TrimPrefix(spec.Name, g.node().Name+".")
}

// in are the values of the inputs and tensors, as Computation takes them.
func (g layerGolden) in(t testing.TB) [][]float32 {
	var in [][]float32
	for i := range g.node().Inputs {
		in = append(in, g.Floats(t, fmt.Sprintf("in%d", i)))
	}
	for _, spec := range g.node().Tensors {
		in = append(in, g.Floats(t, "tensor "+g.tensorName(spec)))
	}
	return in
}

// gradients are those that PyTorch has of inputs and tensors: nil of statistics.
func (g layerGolden) gradients(t testing.TB) [][]float32 {
	var d [][]float32
	for i := range g.node().Inputs {
		d = append(d, g.Floats(t, fmt.Sprintf("d in%d", i)))
	}
	for _, spec := range g.node().Tensors {
		var gradient []float32
		if spec.Role == Learned {
			gradient = g.Floats(t, "d tensor "+g.tensorName(spec))
		}
		d = append(d, gradient)
	}
	return d
}

// compare holds an output, gradients and tensors after the step against PyTorch's.
func (g layerGolden) compare(t *testing.T, who string, y []float32, d, tensors [][]float32,
	tolerance goldentest.Tolerance) {
	t.Helper()
	goldentest.Compare(t, who+": output", y, g.Floats(t, "y"), tolerance)
	for i, want := range g.gradients(t) {
		if want != nil {
			goldentest.Compare(t, fmt.Sprintf("%s: gradient %d", who, i), d[i], want, tolerance)
		}
	}
	for i, spec := range g.node().Tensors {
		if spec.Role == Statistic {
			goldentest.Compare(t, who+": "+spec.Name, tensors[i], g.Floats(t, "after "+g.tensorName(spec)),
				tolerance)
		}
	}
}

// What a layer's Computation says is what PyTorch computes in float64, rounded.
func TestComputationsAgreeWithPyTorch(t *testing.T) {
	eachGolden(t, func(t *testing.T, g layerGolden) {
		node := g.node()
		call := node.call(goldenBatch, g.training)
		if g.training {
			call.Random = ops.NewMasks(1, node.Name)
		}
		computation, err := node.Layer.Compute(call)
		if err != nil {
			t.Fatal(err)
		}
		in := g.in(t)
		y := make([]float32, goldenBatch*node.Output.Elements())
		if err := computation.Forward(y, in); err != nil {
			t.Fatal(err)
		}
		d := g.gradients(t)
		for i := range d {
			if d[i] != nil {
				d[i] = slices.Repeat([]float32{float32(math.NaN())}, len(d[i]))
			}
		}
		if err := computation.Backward(d, g.Floats(t, "dy"), y, in); err != nil {
			t.Fatal(err)
		}
		tensors := in[len(node.Inputs):]
		for i := range tensors {
			tensors[i] = slices.Clone(tensors[i])
		}
		if computation.Update != nil {
			computation.Update(tensors)
		}
		g.compare(t, "computation", y, d, tensors, goldentest.Tolerance{Relative: 1e-6, OfLargest: 3e-7})
	})
}

// Every engine, with each set of kernels, computes what PyTorch does: also the gradients of inputs.
func TestEnginesAgreeWithPyTorch(t *testing.T) {
	engines := testEngines(t, 2)
	eachGolden(t, func(t *testing.T, g layerGolden) {
		for _, engine := range engines {
			y, d, tensors := g.run(t, engine)
			g.compare(t, engine.String(), y, d, tensors,
				goldentest.Tolerance{Relative: 1e-5, OfLargest: 2e-6})
		}
	})
}

// run lowers the layer on inputs that are leaves, runs it forward and back, and returns the output,
// the gradients and the tensors after the step in the public layout.
func (g layerGolden) run(t *testing.T, engine *Engine) (y []float32, d, tensors [][]float32) {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v: %v", engine, err)
		}
	}
	node, in := g.node(), g.in(t)
	weights := g.network.InitialWeights(1)
	for i, spec := range node.Tensors {
		for k := range weights {
			if weights[k].Name == spec.Name {
				weights[k].Data = in[len(node.Inputs)+i]
			}
		}
	}
	variables, err := NewVariables(g.network, engine, weights)
	fail(err)
	l := newLowering(g.network, variables, LowerOptions{Batch: goldenBatch, Training: g.training,
		Seed: 1}, nil)
	p := &place{lowering: l, node: node, at: g.at, last: g.at, tensors: l.tensors[g.at]}
	leaf := func(name string, example Shape, public []float32) *gorgonia.Node {
		shape := l.shape(example)
		values := g.arranged(engine, shape, public, ops.ToChannelsLast)
		value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))
		return gorgonia.NewTensor(l.graph.Expr, tensor.Float32, shape.Dims(),
			gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(value))
	}
	for i, shape := range node.InputShapes {
		p.in = append(p.in, leaf(fmt.Sprintf("in%d", i), shape, in[i]))
	}
	output, err := p.lower()
	fail(err)
	wrt := slices.Clone(p.in)
	for i, spec := range node.Tensors {
		if spec.Role == Learned {
			wrt = append(wrt, p.tensors[i])
		}
	}
	var kernels *kernel.Engine
	if engine.name == EngineNative {
		kernels = &engine.kernels
	}
	gradients, err := ops.Differentiate(output, leaf("dy", node.Output, g.Floats(t, "dy")), wrt,
		kernels)
	fail(err)
	memory, err := ops.PlanMemory(l.graph.Expr, append(gorgonia.Nodes{output}, gradients...))
	fail(err)
	memory.Fill(float32(math.NaN()))
	if slices.ContainsFunc(l.graph.Expr.AllNodes(), func(n *gorgonia.Node) bool {
		return n.Op() != nil
	}) {
		machine := gorgonia.NewTapeMachine(l.graph.Expr)
		defer machine.Close()
		fail(machine.RunAll())
	}
	l.graph.Update()
	public := func(n *gorgonia.Node) []float32 {
		return g.arranged(engine, n.Shape(), n.Value().(*tensor.Dense).Float32s(), ops.ToChannelsFirst)
	}
	for i := range node.Inputs {
		d = append(d, public(gradients[i]))
	}
	gradients = gradients[len(node.Inputs):]
	after := variables.Weights()
	for i, spec := range node.Tensors {
		var gradient []float32
		if spec.Role == Learned {
			gradient = variables.ToPublic(l.places[g.at][i], gradients[0].Value().(*tensor.Dense).Float32s())
			gradients = gradients[1:]
		}
		d, tensors = append(d, gradient), append(tensors, after[l.places[g.at][i]].Data)
	}
	return public(output), d, tensors
}

// arranged brings values from one layout to the other where the engine's is not the public one.
func (layerGolden) arranged(engine *Engine, shape tensor.Shape, values []float32,
	arrange func(to, from []float32, shape tensor.Shape)) []float32 {
	if engine.name != EngineNative || shape.Dims() != 4 {
		return slices.Clone(values)
	}
	arranged := make([]float32, len(values))
	arrange(arranged, values, shape)
	return arranged
}
