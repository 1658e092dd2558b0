package native

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/internal/networktest"
)

// Sessions run at the same time, of several batches, and give the bits of one Evaluator.
func TestSessionsRunAtTheSameTime(t *testing.T) {
	for _, name := range []string{"resnet18", "mobilenet_v3_small", "squeezenet1_1"} {
		t.Run(name, func(t *testing.T) {
			network, err := zoo.New(name, builder.Shape{3, 32, 32}, 10)
			if err != nil {
				t.Fatal(err)
			}
			e := opened(t, networktest.Model(t, network))
			inputs, want := map[int]*Tensor{}, map[int][]float32{}
			for _, images := range []int{1, 3, 6} {
				inputs[images] = pixels(images, 3, 32, 32)
				want[images] = answer(t, e, inputs[images])
			}
			var all sync.WaitGroup
			for i := range 4 {
				s := e.SessionOf(i) // 0 is 1
				if got := s.Threads(); got != max(1, i) {
					t.Errorf("a session of %d threads has %d", i, got)
				}
				t.Cleanup(func() { s.Close() })
				all.Go(func() {
					for images, x := range inputs {
						for range 2 {
							out := []*Tensor{{}}
							if err := s.RunInto(t.Context(), []*Tensor{x}, out); err != nil {
								t.Error(err)
							} else if got := out[0].Data.([]float32); !slices.Equal(got,
								want[images]) {
								t.Errorf("%d images: %v, want %v", images, got, want[images])
							}
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// No operation of any layer keeps what another session changes: every layer's networks run in
// several sessions at the same time.
func TestEveryLayerInSessions(t *testing.T) {
	for i, c := range builder.Cases() {
		t.Run(fmt.Sprintf("%d-%s", i, c.Layer.Kind()), func(t *testing.T) {
			network, err := c.Network("case")
			if err != nil {
				t.Fatal(err)
			}
			e := opened(t, networktest.Model(t, network))
			x := pixels(3, network.Input()...)
			want := answer(t, e, x)
			var all sync.WaitGroup
			for range 3 {
				s := e.Session()
				t.Cleanup(func() { s.Close() })
				all.Go(func() {
					for range 2 {
						out := []*Tensor{{}}
						if err := s.RunInto(t.Context(), []*Tensor{x}, out); err != nil {
							t.Error(err)
						} else if got := out[0].Data.([]float32); !alike(got, want) {
							t.Errorf("%v, want %v", got, want)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// alike reports whether two answers have the same bits; NaN is like NaN.
func alike(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
}

// A session does not hold the weights again: it takes a small part of what the first took.
func TestSessionsShareTheWeights(t *testing.T) {
	network, err := zoo.New("resnet18", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		t.Fatal(err)
	}
	model := networktest.Model(t, network)
	x := pixels(1, 3, 32, 32)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	e := opened(t, model)
	answer(t, e, x)
	first := heap() - before
	s := e.Session()
	defer s.Close()
	answer(t, s, x)
	second := heap() - before - first
	if int64(second) > int64(first)/8 {
		t.Errorf("the first takes %d bytes, a session %d more", first, second)
	}
	t.Logf("the first takes %d bytes, a session %d more", first, second)
	runtime.KeepAlive(model)
}
