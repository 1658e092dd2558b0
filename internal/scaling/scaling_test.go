package scaling

import (
	"math"
	"sync"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/train"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

// What a link costs comes back from its own times, and an outlier of a size moves it little.
func TestFit(t *testing.T) {
	want := Link{Latency: 3e-6, PerByte: 2e-10}
	var points []Point
	for _, size := range Sizes() {
		points = append(points, Point{Bytes: size, Least: want.Exchange(float64(size))})
	}
	got := Fit(points)
	near(t, "latency", got.Latency, want.Latency)
	near(t, "per byte", got.PerByte, want.PerByte)
	if got := Fit(points[:1]); got != (Link{}) {
		t.Errorf("one size alone gives %v", got)
	}
}

// The messages of a step, counted by hand: 4 ranks send half of the gradients and a quarter, twice
// each, reports of one shard and of two, and 2 normalisations' forward and back.
func TestExchange(t *testing.T) {
	w := Work{Parameters: 1000, Normalised: []int{8, 16}}
	bytes := 2*(2000+1000) + 40 + 80 + 2*2*(24+16*8+24+16*16)
	near(t, "bytes", w.Exchange(4, Uniform(Link{PerByte: 1})), float64(bytes))
	near(t, "messages", w.Exchange(4, Uniform(Link{Latency: 1})), float64(w.Messages(4)))
	if got := w.Messages(4); got != 2*(1+2+4) {
		t.Errorf("%d messages", got)
	}
	large := Work{Parameters: 11 << 20} // in 11 pieces of 4 ranks, each twice a distance
	near(t, "messages of pieces", large.Exchange(4, Uniform(Link{Latency: 1})), 2*(1+2*11))
	if got := large.Messages(4); got != 2*(1+2*11) {
		t.Errorf("%d messages of pieces", got)
	}
	near(t, "one rank", w.Exchange(1, Uniform(Link{1, 1})), 0)
	// Machines of two ranks: the first round is within, the larger half of the gradients with it.
	inside := w.Exchange(4, Nodes(2, Link{PerByte: 1}, Link{}))
	near(t, "within a machine", inside, float64(2*2000+40+2*(24+16*8+24+16*16)))
}

func TestEfficiency(t *testing.T) {
	w := Work{Parameters: 1000, Step: 1, PerImage: 0.5}
	free := Uniform(Link{})
	near(t, "weak", w.Weak(8, 64, free), 1)
	near(t, "strong, no exchange", w.Strong(64, 64, free), (1+0.5*64)/(64*(1+0.5)))
	slow := Uniform(Link{Latency: 5.0 / 3})
	near(t, "an exchange as long as the step", w.Weak(8, 2, slow), 0.5)
}

// Work of real networks: E1's parameters, and the 21 normalisations that docs/scale.md tells of.
func TestWorkOf(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	if w := WorkOf(e1, true); w.Parameters != 184_586 || len(w.Normalised) != 0 {
		t.Errorf("e1: %+v", w)
	}
	resnet, err := zoo.New("resnet20", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		t.Fatal(err)
	}
	w := WorkOf(resnet, true)
	if len(w.Normalised) != 21 || w.Messages(2) != 45 {
		t.Errorf("resnet20: %d normalisations, %d messages", len(w.Normalised), w.Messages(2))
	}
	if w := WorkOf(resnet, false); len(w.Normalised) != 0 {
		t.Errorf("resnet20 by shards: %+v", w)
	}
	w, err = w.Measured(t.Context(), resnet, 1, 2)
	if err != nil || w.PerImage < 0 || w.Step < 0 || w.Compute(1) <= 0 {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestMeasure(t *testing.T) {
	var all sync.WaitGroup
	for _, rank := range train.LocalRanks(4) {
		all.Go(func() {
			defer rank.Close()
			points, err := Measure(t.Context(), rank, 2, []int{10, 1000})
			if err != nil || len(points) != 2 || points[1].Bytes != 1000 {
				t.Errorf("rank %d: %v, %v", rank.Rank(), points, err)
				return
			}
			for _, p := range points {
				if p.Least <= 0 || p.Median < p.Least {
					t.Errorf("rank %d: %+v", rank.Rank(), p)
				}
			}
		})
	}
	all.Wait()
	lone := train.LocalRanks(1)[0]
	defer lone.Close()
	if _, err := Measure(t.Context(), lone, 1, []int{1}); err == nil {
		t.Error("a rank alone exchanges with somebody")
	}
}
