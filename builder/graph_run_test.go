package builder

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// graphRun is a network's graph with the gradients of some parameters, in the engine's shared
// memory.
type graphRun struct {
	graph     *Lowered
	variables *Variables
	machine   interface {
		Reset()
		RunAll() error
	}
	upstream  []float32
	memory    *ops.Memory
	wanted    []int // places among the parameters
	gradients gorgonia.Nodes
	kept      []string
}

// everyParameter lists the places of all parameters.
func everyParameter(network *Network) []int {
	every := make([]int, len(network.Parameters()))
	for i := range every {
		every[i] = i
	}
	return every
}

func newGraphRun(t testing.TB, network *Network, engine *Engine, weights Weights,
	options LowerOptions, wanted []int) *graphRun {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Fatalf("%v: %v\n%v", engine, err, network)
		}
	}
	r := &graphRun{wanted: wanted, kept: options.Keep}
	var err error
	r.variables, err = NewVariables(network, engine, weights)
	fail(err)
	r.graph, err = network.Lower(r.variables, options)
	fail(err)
	shape := r.graph.Logits.Shape()
	r.upstream = make([]float32, shape.TotalSize())
	dNode := gorgonia.NewTensor(r.graph.Expr, tensor.Float32, shape.Dims(),
		gorgonia.WithShape(shape...), gorgonia.WithName("dy"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(r.upstream))))
	var kernels *kernel.Engine
	if engine.name == EngineNative {
		kernels = &engine.kernels
	}
	var wrt gorgonia.Nodes
	for _, at := range wanted {
		wrt = append(wrt, r.graph.Parameters[at])
	}
	r.gradients, err = ops.Differentiate(r.graph.Logits, dNode, wrt, kernels)
	fail(err)
	stay := append(gorgonia.Nodes{r.graph.Logits}, r.gradients...)
	for _, name := range options.Keep {
		stay = append(stay, r.graph.Activations[name])
	}
	r.memory, err = ops.PlanMemory(r.graph.Expr, stay)
	fail(err)
	machine := gorgonia.NewTapeMachine(r.graph.Expr)
	t.Cleanup(func() { machine.Close() })
	r.machine = machine
	return r
}

// step runs the graph forward and back, in memory that is filled with NaN before.
func (r *graphRun) step(t testing.TB, images, dy []float32, step uint64) evaluated {
	t.Helper()
	copy(r.graph.Images(), images)
	copy(r.upstream, dy)
	r.graph.SetStep(step, 0)
	r.graph.Feed()
	r.memory.Fill(float32(math.NaN()))
	r.machine.Reset()
	if err := r.machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	values := func(node *gorgonia.Node) []float32 {
		return slices.Clone(node.Value().(*tensor.Dense).Float32s())
	}
	e := evaluated{logits: values(r.graph.Logits)}
	for i, gradient := range r.gradients {
		e.gradients = append(e.gradients, r.variables.ToPublic(r.variables.Learned()[r.wanted[i]],
			values(gradient)))
	}
	for _, name := range r.kept {
		e.outputs = append(e.outputs, values(r.graph.Activations[name]))
	}
	return e
}

// drawn are a network's first weights, images and a gradient of its logits. A tensor of zeros is
// drawn, too: a dead channel, normalised and shifted by nothing, is a tie of a ReLU that rounding
// decides.
func drawn(source *rand.Rand, network *Network, seed uint64, batch int) (weights Weights, images,
	dy []float32) {
	weights = network.InitialWeights(seed)
	for k, spec := range network.Tensors() {
		if spec.Role == Learned && !slices.ContainsFunc(weights[k].Data, func(x float32) bool {
			return x != 0
		}) {
			for j := range weights[k].Data {
				weights[k].Data[j] = float32(source.NormFloat64()) / 8
			}
		}
	}
	return weights, gaussian(source, batch*network.input.Elements()), gaussian(source,
		batch*network.Output().Elements())
}

func gaussian(source *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(source.NormFloat64())
	}
	return values
}
