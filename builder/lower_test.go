package builder_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// lowered is a network's graph on an engine, with the gradients of Σ logits·dy
// with respect to every parameter.
type lowered struct {
	graph     *builder.Lowered
	variables *builder.Variables
	dy        []float32
	gradients gorgonia.Nodes
	machine   gorgonia.VM
}

func newVariables(t testing.TB, network *builder.Network, engineName string,
	weights builder.Weights) *builder.Variables {
	t.Helper()
	engine, err := builder.NewEngine(engineName, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	variables, err := builder.NewVariables(network, engine, weights)
	if err != nil {
		t.Fatal(err)
	}
	return variables
}

func lower(t testing.TB, network *builder.Network, variables *builder.Variables,
	options builder.LowerOptions) *lowered {
	t.Helper()
	graph, err := network.Lower(variables, options)
	if err != nil {
		t.Fatal(err)
	}
	l := &lowered{graph: graph, variables: variables}
	shape := graph.Logits.Shape()
	l.dy = make([]float32, shape.TotalSize())
	if len(graph.Parameters) > 0 {
		upstream := gorgonia.NewTensor(graph.Expr, tensor.Float32, shape.Dims(),
			gorgonia.WithShape(shape...), gorgonia.WithName("dy"),
			gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(l.dy))))
		if l.gradients, err = ops.Differentiate(graph.Logits, upstream, graph.Parameters,
			nil); err != nil {
			t.Fatal(err)
		}
	}
	keep := append(gorgonia.Nodes{graph.Logits}, l.gradients...)
	for _, activation := range graph.Activations {
		keep = append(keep, activation)
	}
	if _, err := ops.PlanMemory(graph.Expr, keep); err != nil {
		t.Fatal(err)
	}
	l.machine = gorgonia.NewTapeMachine(graph.Expr)
	t.Cleanup(func() { l.machine.Close() })
	return l
}

// run returns copies of the logits and of the gradients, in the public layout.
func (l *lowered) run(t testing.TB) (logits []float32, gradients [][]float32) {
	t.Helper()
	l.graph.Feed()
	l.machine.Reset()
	if err := l.machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	for i, gradient := range l.gradients {
		gradients = append(gradients, l.variables.ToPublic(i, gradient.Value().(*tensor.Dense).
			Float32s()))
	}
	return slices.Clone(l.graph.Logits.Value().(*tensor.Dense).Float32s()), gradients
}

func eachEngine(t *testing.T, test func(t *testing.T, engine string)) {
	t.Helper()
	for _, engine := range append(builder.EngineNames(), builder.EnginePlain) {
		t.Run(engine, func(t *testing.T) { test(t, engine) })
	}
}

// lowerings has every kind of layer, in every place that a lowering could treat
// apart: first and last, alone and before what it might be fused with, before and
// after Flatten.
func lowerings(t testing.TB) []*builder.Network {
	square := builder.Square
	image, vector := builder.Shape{2, 7, 6}, builder.Shape{6}
	conv := func(filters, kernel int) builder.Conv2D {
		return builder.Conv2D{Filters: filters, Kernel: square(kernel)}
	}
	pool := builder.MaxPool2D{Kernel: square(2)}
	mean := builder.AvgPool2D{Kernel: square(2)}
	relu, flatten, dense := builder.ReLU{}, builder.Flatten{}, builder.Dense{Units: 3}
	var networks []*builder.Network
	add := func(name string, input builder.Shape, layers ...builder.Layer) {
		networks = append(networks, mustNew(t, name, input, layers...))
	}
	add("Conv2D", image, conv(3, 3), flatten)
	add("Conv2D-Dense", image, conv(3, 3), flatten, dense)
	add("Conv2D-grey", builder.Shape{1, 6, 7}, conv(2, 5), flatten, dense)
	add("Conv2D-1x1", image, conv(3, 1), flatten, dense)
	add("Conv2D-kernel-is-input", image,
		builder.Conv2D{Filters: 5, Kernel: builder.Size{Height: 7, Width: 6}}, flatten, dense)
	add("Conv2D-one-of-everything", builder.Shape{1, 1, 1}, conv(1, 1), flatten,
		builder.Dense{Units: 1})
	add("Conv2D-stride-padding", image, builder.Conv2D{
		Filters: 3, Kernel: builder.Size{Height: 3, Width: 2}, Stride: builder.Size{Height: 2, Width: 3},
		Padding: builder.Size{Height: 1, Width: 2},
	}, relu, flatten, dense)
	add("Conv2D-17-filters", image, conv(17, 2), relu, flatten, dense)
	add("Conv2D-Conv2D", image, conv(3, 3), conv(2, 2), relu, flatten, dense)
	add("Conv2D-ReLU", image, conv(3, 3), relu, flatten)
	add("Conv2D-ReLU-MaxPool2D", image, conv(3, 2), relu, pool, flatten, dense)
	add("Conv2D-MaxPool2D", image, conv(3, 2), pool, flatten, dense)
	add("Conv2D-MaxPool2D-ReLU", image, conv(3, 2), pool, relu, flatten, dense)
	add("two-blocks", builder.Shape{1, 12, 11}, conv(4, 3), relu, pool, conv(5, 2), relu, pool,
		flatten, builder.Dense{Units: 6}, relu, dense)
	add("Conv2D-ReLU-MaxPool2D-overlap", image, conv(3, 2), relu,
		builder.MaxPool2D{Kernel: square(3), Stride: square(2), Padding: square(1)}, flatten, dense)
	add("ReLU-of-input", image, relu, conv(2, 3), flatten)
	add("ReLU-ReLU", vector, dense, relu, relu, dense)
	add("ReLU-last", vector, dense, relu)
	add("MaxPool2D-of-input", image, pool, conv(2, 2), flatten, dense)
	add("MaxPool2D-oblong", image, conv(2, 1),
		builder.MaxPool2D{Kernel: builder.Size{Height: 3, Width: 2},
			Stride: builder.Size{Height: 2, Width: 1}, Padding: builder.Size{Height: 1}}, flatten)
	add("MaxPool2D-twice", image, conv(2, 1), builder.MaxPool2D{Kernel: square(2), Stride: square(1)},
		pool, flatten, dense)
	add("AvgPool2D", image, conv(3, 2), mean, flatten, dense)
	add("AvgPool2D-of-input", image, mean, conv(2, 2), flatten, dense)
	add("AvgPool2D-overlap", image, conv(2, 2), relu, builder.AvgPool2D{Kernel: square(3),
		Stride: builder.Size{Height: 1, Width: 2}, Padding: square(1)}, flatten, dense)
	add("Flatten-first", image, flatten, dense)
	add("Flatten-of-vector", vector, flatten, dense, flatten, dense)
	add("Flatten-ReLU", image, conv(3, 3), flatten, relu, dense)
	add("Flatten-Flatten", image, conv(3, 3), flatten, flatten, dense)
	add("Dense", vector, dense)
	add("Dense-one", builder.Shape{1}, builder.Dense{Units: 1})
	add("Dense-Dense", vector, builder.Dense{Units: 17}, relu, dense)
	add("Dropout", vector, builder.Dense{Units: 20}, relu, builder.Dropout{P: 0.5}, dense)
	add("Dropout-of-input", image, builder.Dropout{P: 0.2}, conv(2, 3), flatten, dense)
	add("Dropout-of-map", image, conv(3, 3), relu, builder.Dropout{P: 0.3}, conv(2, 2), flatten, dense)
	add("Dropout-before-Flatten", image, conv(3, 3), builder.Dropout{P: 0.3}, flatten, dense)
	add("Dropout-after-Flatten", image, conv(3, 3), flatten, builder.Dropout{P: 0.3}, dense)
	add("Dropout-last", image, conv(3, 3), flatten, builder.Dropout{P: 0.3})
	add("Dropout-twice", vector, builder.Dropout{P: 0.2}, builder.Dense{Units: 20},
		builder.Dropout{P: 0.2}, dense)
	add("Dropout-of-nothing", vector, builder.Dense{Units: 20}, builder.Dropout{P: 0}, dense)
	add("Softmax", image, conv(3, 3), relu, pool, flatten, dense, builder.Softmax{})
	add("Softmax-after-Flatten", image, conv(3, 3), flatten, builder.Softmax{})
	return networks
}

// Sums of float32 in another order than float64's; the second term bounds what
// cancellation leaves.
var tolerance = goldentest.Tolerance{Relative: 1e-5, OfLargest: 2e-6}

func TestEveryLayerOnEveryEngineIsThePlainNetwork(t *testing.T) {
	for _, network := range lowerings(t) {
		for _, batch := range []int{1, 3} {
			weights, images, dy := values(network, batch)
			expected := newPlain(network, weights, images, batch)
			expected.seed, expected.step = 5, 1<<33+7
			var logits []float64
			var gradients [][]float32
			for _, training := range []bool{true, false} {
				// Dropout alone tells training from evaluation.
				if training || slices.ContainsFunc(network.Nodes(), func(n builder.Node) bool {
					return n.Layer.Kind() == "Dropout"
				}) {
					expected.training = training
					logits, _ = expected.logits(t)
					gradients = expected.gradients(t, dy)
				}
				eachEngine(t, func(t *testing.T, engine string) {
					t.Run(fmt.Sprintf("%s/batch %d/training %v", network.Name(), batch, training),
						func(t *testing.T) {
							variables := newVariables(t, network, engine, weights)
							l := lower(t, network, variables, builder.LowerOptions{Batch: batch, Training: training,
								Seed: expected.seed})
							check := func(when string) (bits []float32) {
								copy(l.graph.Images(), images)
								copy(l.dy, dy)
								l.graph.SetStep(expected.step, 0)
								got, gotGradients := l.run(t)
								goldentest.Compare(t, "logits"+when, got, narrow(logits), tolerance)
								for i, parameter := range network.Parameters() {
									goldentest.Compare(t, "gradient of "+parameter.Name+when, gotGradients[i], gradients[i],
										tolerance)
								}
								return slices.Concat(append(gotGradients, got)...)
							}
							first := check("")
							// Another step on other images must leave nothing behind.
							clear(l.graph.Images())
							clear(l.dy)
							l.graph.SetStep(3, 0)
							l.run(t)
							if again := check(" after another run"); !slices.Equal(again, first) {
								t.Error("the same run gave other bits the second time")
							}
							checkUntouched(t, variables, weights)
						})
				})
			}
		}
	}
}

// values draws weights, images and an upstream gradient.
func values(network *builder.Network, batch int) (weights builder.Weights, images, dy []float32) {
	source := rand.New(rand.NewPCG(11, uint64(batch)))
	draw := func(count int) []float32 {
		drawn := make([]float32, count)
		for i := range drawn {
			drawn[i] = float32(source.NormFloat64())
		}
		return drawn
	}
	return network.InitialWeights(3), draw(batch * network.Input().
		Elements()), draw(batch * network.Output().Elements())
}

func narrow(values []float64) []float32 {
	narrow := make([]float32, len(values))
	for i, x := range values {
		narrow[i] = float32(x)
	}
	return narrow
}

// checkUntouched reports whether runs changed the shape or the values of a
// parameter.
func checkUntouched(t *testing.T, variables *builder.Variables, weights builder.Weights) {
	t.Helper()
	for i, tensor := range variables.Weights() {
		if !slices.Equal(tensor.Data, weights[i].Data) || tensor.Name != weights[i].Name ||
			!slices.Equal(tensor.Shape, weights[i].Shape) {
			t.Errorf("the runs changed %s", weights[i].Name)
		}
		if value := variables.Values()[i]; value.Dims() != len(weights[i].Shape) || value.Shape().
			TotalSize() != weights[i].Shape.Elements() {
			t.Errorf("the runs made %v of %s, %v", value.Shape(), weights[i].Name, weights[i].Shape)
		}
	}
}

func TestKeptActivationsAreTheLayersOutputs(t *testing.T) {
	const batch = 2
	for _, network := range lowerings(t) {
		var names []string
		for _, node := range network.Nodes() {
			if node.Layer.Kind() != "Softmax" {
				names = append(names, node.Name)
			}
		}
		weights, images, _ := values(network, batch)
		_, outputs := newPlain(network, weights, images, batch).logits(t)
		eachEngine(t, func(t *testing.T, engine string) {
			// Each alone, so that what a lowering fuses with what comes next is
			// cut there alone; then all at once.
			for _, keep := range append(each(names), names) {
				l := lower(t, network, newVariables(t, network, engine, weights),
					builder.LowerOptions{Batch: batch, Keep: keep})
				copy(l.graph.Images(), images)
				l.run(t)
				for _, name := range keep {
					node := l.graph.Activations[name]
					if node == nil {
						t.Errorf("network %s: Activations has no %s", network.Name(), name)
						continue
					}
					// In the engine's layout, so compared in no order.
					got, want := slices.Clone(node.Value().(*tensor.Dense).Float32s()), narrow(outputs[name])
					slices.Sort(got)
					slices.Sort(want)
					goldentest.Compare(t, fmt.Sprintf("network %s, sorted output of %s", network.Name(), name),
						got, want, tolerance)
				}
			}
		})
	}
}

func each(names []string) [][]string {
	var lists [][]string
	for _, name := range names {
		lists = append(lists, []string{name})
	}
	return lists
}

func TestVariablesKeepThePublicLayout(t *testing.T) {
	for _, network := range append(lowerings(t), oneOfEach(t)) {
		weights := network.InitialWeights(8)
		eachEngine(t, func(t *testing.T, engine string) {
			variables := newVariables(t, network, engine, weights)
			checkUntouched(t, variables, weights)
			for i, value := range variables.Values() {
				want := weights[i].Data
				if got := variables.ToPublic(i, value.Float32s()); !slices.Equal(got, want) {
					t.Errorf("network %s: ToPublic of %s is another order", network.Name(), weights[i].Name)
				}
				back := make([]float32, len(want))
				variables.FromPublic(i, back, want)
				if !slices.Equal(back, value.Float32s()) {
					t.Errorf("network %s: FromPublic of %s is another order", network.Name(), weights[i].Name)
				}
			}
		})
	}
}

// Graphs of one set of variables learn the same values: a step written into
// them is seen by all, and weights that were copied in are not.
func TestGraphsShareTheirVariables(t *testing.T) {
	network := mustNew(t, "shared", builder.Shape{2, 5, 5},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(2)}, builder.ReLU{}, builder.Flatten{},
		builder.Dense{Units: 2})
	first, second := network.InitialWeights(1), network.InitialWeights(2)
	_, images, _ := values(network, 2)
	want, _ := newPlain(network, second, images, 2).logits(t)
	eachEngine(t, func(t *testing.T, engine string) {
		given := first.Clone()
		variables := newVariables(t, network, engine, given)
		for _, tensor := range given {
			clear(tensor.Data)
		}
		checkUntouched(t, variables, first)
		training := lower(t, network, variables, builder.LowerOptions{Batch: 2, Training: true})
		evaluation := lower(t, network, variables, builder.LowerOptions{Batch: 2})
		training.run(t)
		for i, tensor := range second {
			variables.FromPublic(i, variables.Values()[i].Float32s(), tensor.Data)
		}
		for _, l := range []*lowered{training, evaluation} {
			copy(l.graph.Images(), images)
			logits, _ := l.run(t)
			goldentest.Compare(t, "logits", logits, narrow(want), tolerance)
		}
	})
}

func TestLowerRejects(t *testing.T) {
	layers := []builder.Layer{builder.Dense{Name: "a", Units: 2}}
	network, twin := mustNew(t, "mine", builder.Shape{3}, layers...), mustNew(t, "mine",
		builder.Shape{3}, layers...)
	eachEngine(t, func(t *testing.T, engine string) {
		variables := newVariables(t, network, engine, network.InitialWeights(1))
		for _, test := range []struct {
			name    string
			network *builder.Network
			options builder.LowerOptions
			want    string
		}{
			{"another network's variables", twin, builder.LowerOptions{Batch: 1},
				"belong to another network"},
			{"no batch", network, builder.LowerOptions{}, "batch of 0"},
			{"a negative batch", network, builder.LowerOptions{Batch: -32}, "batch of -32"},
			{"an unknown layer to keep", network, builder.LowerOptions{Batch: 1, Keep: []string{"a", "b"}},
				`no layer "b"`},
		} {
			if _, err := test.network.Lower(variables, test.options); err == nil ||
				!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "network mine") {
				t.Errorf("%s: error is %v, want one with %q", test.name, err, test.want)
			}
		}
	})
}

func TestNewEngineAndNewVariablesReject(t *testing.T) {
	if _, err := builder.NewEngine("tensorflow", 0); err == nil ||
		!strings.Contains(err.Error(), strings.Join(builder.EngineNames(), ", ")) {
		t.Errorf("error is %v, want one that lists the engines", err)
	}
	network := mustNew(t, "mine", builder.Shape{3}, builder.Dense{Units: 2})
	eachEngine(t, func(t *testing.T, name string) {
		engine, err := builder.NewEngine(name, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		if _, err := builder.NewVariables(network, engine, network.InitialWeights(1)[:1]); err == nil ||
			!strings.Contains(err.Error(), `"fc1.bias" is missing`) {
			t.Errorf("error is %v, want one that names the missing tensor", err)
		}
	})
}
