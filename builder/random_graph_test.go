package builder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// randomGraphs is how many graphs the test makes: 1,000, fewer with -short and under the race
// detector.
func randomGraphs() int {
	if testing.Short() || raceDetector {
		return 50
	}
	return 1000
}

// randomGraph wires cases of layers at random: forks, joins, values that are used twice, views,
// odd sizes. All loose ends are flattened and added up to four logits.
func randomGraph(source *rand.Rand) (*Network, error) {
	cases := Cases()
	for {
		input := Shape{1 + source.IntN(4), 1 + source.IntN(9), 1 + source.IntN(9)}
		if source.IntN(6) == 0 {
			input = Shape{1 + source.IntN(20)}
		}
		g := NewGraph("random", input)
		values := []Value{g.Input()}
		used := map[int]bool{}
		for tries := 0; tries < 200 && len(g.nodes) < 2+source.IntN(12); tries++ {
			// Not of maps of a few positions: their channels hardly vary, and normalised is what they were
			// rounded by.
			value := values[len(values)-1]
			if shape := g.Shape(value); source.IntN(4) == 0 && len(shape) == 3 && shape[1]*shape[2] >= 6 {
				used[value.at] = true
				values = append(values, residual(source, g, value))
				continue
			}
			c := cases[source.IntN(len(cases))]
			var takes []Value
			var shapes []Shape
			for k := range c.Inputs {
				// The newest values are the likeliest, so that graphs grow deep.
				at := len(values) - 1 - source.IntN(min(len(values), 4))
				if len(takes) > 0 && source.IntN(4) > 0 {
					at = slices.IndexFunc(values, func(v Value) bool {
						return slices.Equal(g.Shape(v), shapes[0])
					})
				}
				value := values[at]
				if shape := g.Shape(value); k > 0 && perChannel(c.Inputs[k]) && len(shape) == 3 &&
					source.IntN(2) == 0 {
					used[value.at] = true
					value = g.Then(value, GlobalAvgPool{})
					values = append(values, value)
				}
				takes, shapes = append(takes, value), append(shapes, g.Shape(value))
			}
			inferred, err := c.Layer.Infer(shapes)
			if err != nil || inferred.Output.checkPositive() != nil || inferred.Output.Elements() > 2000 {
				continue
			}
			for _, value := range takes {
				used[value.at] = true
			}
			values = append(values, g.Join(c.Layer, takes...))
		}
		var ends []Value
		for _, value := range values[1:] {
			if !used[value.at] {
				ends = append(ends, g.Then(value, Flatten{}, Dense{Units: 4}))
			}
		}
		if len(ends) == 0 {
			continue
		}
		x := ends[0]
		if len(ends) > 1 {
			x = g.Join(Add{}, ends...)
		}
		return g.Network(x)
	}
}

// residual puts one to three normalised convolutions behind a value and adds it, or its own
// normalised convolution, to them: what the engines fuse, with one part or another of it missing.
func residual(source *rand.Rand, g *Graph, x Value) Value {
	filters := []int{1, 5, 8, 16, 17}[source.IntN(5)]
	normalised := func(x Value, stride int) Value {
		kernel := []int{1, 3}[source.IntN(2)]
		convolution := Conv2D{
			Filters: filters, Kernel: Square(kernel), Padding: Square(kernel / 2), Stride: Square(stride),
			NoBias: source.IntN(4) > 0,
		}
		if shape := g.Shape(x); source.IntN(4) == 0 && shape[0] == filters && filters > 1 {
			convolution.Groups = filters
		}
		x = g.Then(x, convolution)
		if source.IntN(8) > 0 {
			// A channel that hardly varies would be amplified, and the rounding in it.
			x = g.Then(x, BatchNorm{Epsilon: 0.1, Frozen: source.IntN(8) == 0})
		}
		return x
	}
	activated := func(x Value) Value {
		switch source.IntN(4) {
		case 0:
			return g.Then(x, ReLU6{})
		case 1:
			return x
		}
		return g.Then(x, ReLU{})
	}
	stride := 1 + source.IntN(2)
	y := normalised(x, stride)
	for range source.IntN(3) {
		y = normalised(activated(y), 1)
	}
	if source.IntN(3) == 0 {
		return activated(y)
	}
	shape := g.Shape(x)
	if stride > 1 || shape[0] != filters || source.IntN(3) == 0 {
		x = normalised(x, stride)
	}
	sum := []Value{y, x}
	if source.IntN(2) == 0 {
		sum = []Value{x, y}
	}
	return activated(g.Join(Add{}, sum...))
}

// evaluated is a network's logits and gradients as the layers' own computations have them, one
// after the other, added up in float64 where a value forks; and its statistics after the step.
type evaluated struct {
	logits    []float32
	gradients [][]float32 // by parameter
	weights   Weights     // after Update
	outputs   [][]float32 // by node; of the reference alone
}

func evaluateReference(t testing.TB, network *Network, weights Weights, images, dy []float32,
	batch int, training bool, seed, step uint64) evaluated {
	t.Helper()
	weights = weights.Clone()
	outputs := make([][]float32, len(network.nodes))
	computations := make([]Computation, len(network.nodes))
	ins := make([][][]float32, len(network.nodes))
	at := 0
	var updates []func()
	for i, node := range network.nodes {
		call := node.call(batch, training)
		if training {
			masks := ops.NewMasks(seed, node.Name)
			masks.SetStep(step, 0)
			call.Random = masks
		}
		var err error
		if computations[i], err = node.Layer.Compute(call); err != nil {
			t.Fatal(err)
		}
		for _, input := range node.Inputs {
			if input < 0 {
				ins[i] = append(ins[i], images)
			} else {
				ins[i] = append(ins[i], outputs[input])
			}
		}
		var tensors [][]float32
		for range node.Tensors {
			tensors = append(tensors, weights[at].Data)
			at++
		}
		ins[i] = append(ins[i], tensors...)
		outputs[i] = make([]float32, batch*node.Output.Elements())
		if err := computations[i].Forward(outputs[i], ins[i]); err != nil {
			t.Fatal(err)
		}
		if update := computations[i].Update; update != nil {
			updates = append(updates, func() { update(tensors) })
		}
	}
	sums := make([][]float64, len(network.nodes))
	last := len(network.nodes) - 1
	sums[last] = wide(dy)
	var byNode [][][]float32
	for i := last; i >= 0; i-- {
		node := network.nodes[i]
		d := make([][]float32, len(ins[i]))
		for k := range d {
			d[k] = make([]float32, len(ins[i][k]))
			if k >= len(node.Inputs) && node.Tensors[k-len(node.Inputs)].Role == Statistic {
				d[k] = nil
			}
		}
		if err := computations[i].Backward(d, narrowed(sums[i]), outputs[i], ins[i]); err != nil {
			t.Fatal(err)
		}
		for k, input := range node.Inputs {
			if input < 0 {
				continue
			}
			if sums[input] == nil {
				sums[input] = make([]float64, len(d[k]))
			}
			for j, x := range d[k] {
				sums[input][j] += float64(x)
			}
		}
		byNode = append(byNode, d[len(node.Inputs):])
	}
	result := evaluated{logits: outputs[last], weights: weights, outputs: outputs}
	slices.Reverse(byNode)
	for _, gradients := range byNode {
		for _, gradient := range gradients {
			if gradient != nil {
				result.gradients = append(result.gradients, gradient)
			}
		}
	}
	for _, update := range updates {
		update()
	}
	return result
}

func wide(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, x := range values {
		wide[i] = float64(x)
	}
	return wide
}

func narrowed(values []float64) []float32 {
	narrow := make([]float32, len(values))
	for i, x := range values {
		narrow[i] = float32(x)
	}
	return narrow
}

// testEngines returns every engine there is: native with each set of kernels of this CPU and that
// many threads.
func testEngines(t testing.TB, threads int) []*Engine {
	t.Helper()
	engines := []*Engine{{name: EngineGorgonia}, {name: EnginePlain}}
	for _, set := range kernel.Available() {
		kernels, err := kernel.NewEngine(set, threads)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(kernels.Pool.Close)
		engines = append(engines, &Engine{name: EngineNative, kernels: kernels})
	}
	return engines
}

// trainOnce runs a graph forward and back, twice with something else in between, and returns what
// it came to.
func trainOnce(t testing.TB, network *Network, engine *Engine, weights Weights, images,
	dy []float32, batch int, training bool, seed, step uint64) evaluated {
	t.Helper()
	r := newGraphRun(t, network, engine, weights, LowerOptions{Batch: batch, Training: training,
		Seed: seed}, everyParameter(network))
	run := func(images, dy []float32, step uint64) evaluated { return r.step(t, images, dy, step) }
	first := run(images, dy, step)
	run(make([]float32, len(images)), make([]float32, len(dy)), step+1)
	again := run(images, dy, step)
	if !sameBits(first, again) {
		t.Errorf("%v: the same run gave other bits the second time\n%v", engine, network)
	}
	r.graph.Update()
	again.weights = r.variables.Weights()
	return again
}

func sameBits(a, b evaluated) bool {
	equal := func(x, y []float32) bool {
		return slices.EqualFunc(x, y, func(x, y float32) bool {
			return math.Float32bits(x) == math.Float32bits(y)
		})
	}
	return equal(a.logits, b.logits) && slices.EqualFunc(a.gradients, b.gradients, equal)
}

// Every engine, with each set of kernels, computes what the layers' own computations do, forward
// and back, whatever graph they are wired to; and the native engine the same bits on any threads.
func TestRandomGraphsOnEveryEngineAreTheReference(t *testing.T) {
	engines := testEngines(t, 2)
	var threads []*Engine
	for _, n := range []int{1, 3, 7} {
		threads = append(threads, testEngines(t, n)[2:]...)
	}
	kinds := make(map[string]int)
	for i := range randomGraphs() {
		source := rand.New(rand.NewPCG(42, uint64(i)))
		network, err := randomGraph(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range network.nodes {
			kinds[node.Layer.Kind()]++
		}
		batch := 1 + source.IntN(4)
		training := source.IntN(3) > 0
		weights, images, dy := drawn(source, network, uint64(i), batch)
		want := evaluateReference(t, network, weights, images, dy, batch, training, 5, uint64(i))
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var native []evaluated
			for _, engine := range engines {
				got := trainOnce(t, network, engine, weights, images, dy, batch, training, 5, uint64(i))
				compareEvaluated(t, network, engine, got, want)
				if engine.name == EngineNative {
					native = append(native, got)
				}
			}
			for k, engine := range threads {
				if got := trainOnce(t, network, engine, weights, images, dy, batch, training, 5,
					uint64(i)); !sameBits(got, native[k%len(native)]) {
					t.Errorf("%v gives other bits than 2 threads\n%v", engine, network)
				}
			}
			if t.Failed() {
				t.Logf("batch %d, training %v\n%v", batch, training, network)
			}
		})
		if t.Failed() {
			break
		}
	}
	for _, kind := range Kinds() {
		// A few graphs need not have every kind.
		if kinds[kind] == 0 && kind != softmaxKind && randomGraphs() == 1000 {
			t.Errorf("no graph had a %s", kind)
		}
	}
}

// compareEvaluated holds values to 1e-4 of themselves, or 2e-5 of the largest of all gradients:
// float32 sums in another order, through a dozen layers, the statistics of a few values among them.
// Of all, since a normalisation behind another one leaves gradients that are nothing but rounding.
func compareEvaluated(t testing.TB, network *Network, engine *Engine, got, want evaluated) {
	t.Helper()
	tolerance := goldentest.Tolerance{Relative: 1e-4, OfLargest: 2e-5}
	goldentest.Compare(t, fmt.Sprintf("%v: logits", engine), got.logits, want.logits, tolerance)
	goldentest.Compare(t, fmt.Sprintf("%v: gradients", engine), slices.Concat(got.gradients...),
		slices.Concat(want.gradients...), tolerance)
	var gotTensors, wantTensors []float32
	for i := range network.Tensors() {
		gotTensors, wantTensors = append(gotTensors, got.weights[i].Data...), append(wantTensors,
			want.weights[i].Data...)
	}
	goldentest.Compare(t, fmt.Sprintf("%v: tensors after the step", engine), gotTensors, wantTensors,
		tolerance)
}
