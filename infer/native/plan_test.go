package native

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/internal/graphmaker"
	"slipway/internal/memoryplan"
	"slipway/internal/networktest"
	"slipway/onnx"
)

// opened returns an evaluator of a model whose first input is of images.
func opened(t *testing.T, model *onnx.Model) *Evaluator {
	t.Helper()
	e, err := New(t.Context(), model, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// pixels returns n images of that shape.
func pixels(n int, shape ...int) *Tensor {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	x := &Tensor{Shape: append([]int{n}, shape...), Data: make([]float32, n*product(shape))}
	for i := range x.Data.([]float32) {
		x.Data.([]float32)[i] = float32(random.NormFloat64())
	}
	return x
}

func answer(t *testing.T, e *Evaluator, x *Tensor) []float32 {
	t.Helper()
	out, err := e.Run(t.Context(), map[string]*Tensor{e.Inputs()[0].Name: x})
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Data.([]float32)
}

// TestSixConvolutionsHoldTwoMaps: of six convolutions on 250 images two maps of 125 MiB are needed
// at a time, and the evaluator holds these, the images channels last, and little more, where they
// go through the graph as a whole. In parts, as these images go otherwise, it holds less than a
// tenth.
func TestSixConvolutionsHoldTwoMaps(t *testing.T) {
	var layers []builder.Layer
	for range 6 {
		layers = append(layers, builder.Conv2D{Filters: 32, Kernel: builder.Square(3),
			Padding: builder.Square(1)}, builder.ReLU{})
	}
	layers = append(layers, builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 10})
	network, err := builder.New("six", builder.Shape{3, 64, 64}, layers...)
	if err != nil {
		t.Fatal(err)
	}
	model := networktest.Model(t, network)
	e, parts := opened(t, model), opened(t, model)
	e.program.apart = false
	x := pixels(250, 3, 64, 64)
	if answer(t, parts, x); parts.Held() > 2*250*32*64*64*4/10 {
		t.Errorf("in parts %d bytes are held", parts.Held())
	}
	const most, twoMaps = 300e6, 2 * 250 * 32 * 64 * 64 * 4
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answer(t, e, x)
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if held := e.Held(); held < twoMaps || held > most {
		t.Errorf("%d bytes are held; two maps take %d, and %d are allowed", held, twoMaps, int(most))
	}
	// What was allocated in all bounds what the process came to.
	if allocated > most {
		t.Errorf("%d bytes were allocated, held are %d", allocated, e.Held())
	}
	t.Logf("held are %.0f MB, allocated were %.0f MB", float64(e.Held())/1e6, float64(allocated)/1e6)
}

// TestResidualNetworksArePlanned: a run of ResNet-20 lies as planned, holds little more than is
// needed at its fullest moment, and allocates nothing of size the next time.
func TestResidualNetworksArePlanned(t *testing.T) {
	e := opened(t, networktest.Model(t, networktest.ResNet20(t, 16)))
	x := pixels(64, 3, 32, 32)
	answer(t, e, x)
	if len(e.arena.free) > 0 && e.arena.place.next != len(e.arena.place.plan.lives) {
		t.Errorf("%d of %d values were placed", e.arena.place.next, len(e.arena.place.plan.lives))
	}
	fullest := 0
	for _, at := range e.arena.place.plan.lives {
		live := 0
		for _, l := range e.arena.place.plan.lives {
			if l.Begin <= at.Begin && at.Begin <= l.End {
				live += l.Elements
			}
		}
		fullest = max(fullest, live)
	}
	if len(e.arena.block) > fullest*11/10 {
		t.Errorf("the block has %d elements, %d are needed at a time", len(e.arena.block), fullest)
	}
	// The first map, the one that the block computes, and its sum in the memory of one of these.
	if most := 3 * 64 * 16 * 32 * 32; fullest > most {
		t.Errorf(
			"%d elements are needed at a time, want %d at most: a sum lies in the memory of what it adds",
			fullest, most)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answer(t, e, x)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("%d bytes were allocated by a second run", allocated)
	}
}

// TestPlannedRunsAnswerAsSingleImages: no value lies on another that is needed still.
func TestPlannedRunsAnswerAsSingleImages(t *testing.T) {
	for name, test := range map[string]struct {
		model *onnx.Model
		shape []int
	}{
		"resnet20": {networktest.Model(t, networktest.ResNet20(t, 8)), []int{3, 32, 32}},
		"residual": {networktest.Model(t, networktest.Residual(t, builder.Shape{1, 9, 7}, 3)),
			[]int{1, 9, 7}},
		"mobile": {networktest.Mobile(), []int{3, 12, 12}},
	} {
		t.Run(name, func(t *testing.T) {
			e := opened(t, test.model)
			x := pixels(13, test.shape...)
			want := opened(t, test.model)
			size := product(test.shape)
			for range 2 {
				got := answer(t, e, x)
				if e.arena.place.plan == nil {
					t.Fatal("the run has no plan")
				}
				for i := range 13 {
					alone := answer(t, want, &Tensor{Shape: append([]int{1}, test.shape...),
						Data: x.Data.([]float32)[i*size : (i+1)*size]})
					if row := got[i*len(alone) : (i+1)*len(alone)]; !slices.Equal(row, alone) {
						t.Fatalf("image %d: %v in a batch, %v alone", i, row, alone)
					}
				}
			}
		})
	}
}

// TestArenaLeavesItsPlan: a value of another size than planned, or one whose place is still in use,
// lies elsewhere.
func TestArenaLeavesItsPlan(t *testing.T) {
	one, two := &memoryplan.Life{Elements: 100, Begin: 1, End: 2}, &memoryplan.Life{Elements: 100,
		Begin: 3, End: 4}
	lives := []*memoryplan.Life{one, two}
	a := &arena{limit: 1 << 20}
	p := &plan{elements: memoryplan.Place(lives), lives: lives}
	take := func(n int) *Tensor {
		t.Helper()
		x, err := a.tensor(1, []int{n})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if err := a.follow(p); err != nil {
		t.Fatal(err)
	}
	x := take(100)
	y := take(100) // x is still there, other than planned
	if x.memory.place == nil || y.memory.place != nil ||
		&x.Data.([]float32)[0] == &y.Data.([]float32)[0] {
		t.Errorf("two tensors in use share their memory: %v, %v", x.memory, y.memory)
	}
	a.release(x)
	a.release(y)
	if err := a.follow(p); err != nil {
		t.Fatal(err)
	}
	if z := take(99); z.memory.place != nil {
		t.Error("a tensor of 99 elements lies where 100 are planned")
	}
}

// TestFoldedNormalization: BatchNormalization computed with the Conv before it answers as one after
// it, which a graph has that also gives what lies between.
func TestFoldedNormalization(t *testing.T) {
	graph := func() *graphmaker.Graph {
		g := graphmaker.New(graphmaker.Free, 3, 6, 5).Weight("w", -1, 1, 4, 3, 3, 3).
			Weight("b", -1, 1, 4).Weight("s", -2, 2, 4).Weight("t", -1, 1, 4).Weight("m", -1, 1, 4).
			Weight("v", 0.01, 2, 4)
		return g.Node("c = Conv x w b").
			Node("n = BatchNormalization c s t m v", graphmaker.Float("epsilon", 1e-3))
	}
	folded := opened(t, graph().Node("y = Relu n").Model())
	if len(folded.program.steps) != 1 {
		t.Errorf("%d steps, want 1", len(folded.program.steps))
	}
	apart := opened(t, graph().Node("r = Relu n").Node("g = GlobalAveragePool c").Node("z = Sub g g").
		Node("y = Add r z").Model())
	x := pixels(6, 3, 6, 5)
	got, want := answer(t, folded, x), answer(t, apart, x)
	for i, v := range got {
		if math.Abs(float64(v-want[i])) > 2e-5 {
			t.Fatalf("element %d: %g folded, %g apart", i, v, want[i])
		}
	}
}

// TestSumsKeepNaN: Relu computed with an Add keeps NaN and takes infinities as they are.
func TestSumsKeepNaN(t *testing.T) {
	e := opened(t, graphmaker.New(graphmaker.Free, 2, 2, 2).Node("n = Neg x").Node("a = Abs x").
		Node("s = Add n a").Node("y = Relu s").Model())
	inf := float32(math.Inf(1))
	got := answer(t, e, &Tensor{Shape: []int{1, 2, 2, 2},
		Data: []float32{1, -1, inf, -inf, float32(math.NaN()), 0, -2, 3}})
	for i, want := range []float32{0, 2, float32(math.NaN()), inf, float32(math.NaN()), 0, 4, 0} {
		if got[i] != want && !(got[i] != got[i] && want != want) {
			t.Errorf("element %d: %g, want %g", i, got[i], want)
		}
	}
}

// SiLU and GELU, which the exporter says by two and by five nodes, are a step each.
func TestActivationsAreOneStep(t *testing.T) {
	for layer, nodes := range map[builder.Layer]int{builder.SiLU{}: 2, builder.GELU{}: 5} {
		network, err := builder.New("activation", builder.Shape{3, 8, 8},
			builder.Conv2D{Filters: 4, Kernel: builder.Size{Height: 3, Width: 3}}, layer, builder.Flatten{},
			builder.Dense{Units: 3})
		if err != nil {
			t.Fatal(err)
		}
		model := networktest.Model(t, network)
		e := opened(t, model)
		all := len(model.Proto.GetGraph().GetNode())
		if got := len(e.program.steps); got != all-nodes+1 {
			t.Errorf("%s: %d steps of %d nodes, want %d", layer.Kind(), got, all, all-nodes+1)
		}
	}
}
