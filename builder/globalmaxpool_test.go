package builder

import (
	"math/rand/v2"
	"testing"

	"slipway/internal/kernel"
)

// A map with more places than the pooling kernel tells apart is pooled all the same.
func TestGlobalMaxPoolOfALargeMap(t *testing.T) {
	network, err := New("large", Shape{2, 260, 260}, Scale{}, GlobalMaxPool{}, Flatten{})
	if err != nil {
		t.Fatal(err)
	}
	source := rand.New(rand.NewPCG(1, 1))
	images := make([]float32, network.Input().Elements())
	for i := range images {
		images[i] = float32(source.NormFloat64())
	}
	images[len(images)-1] = 100 // at a place beyond 65,535
	kernels, err := kernel.NewEngine(kernel.Available()[0], 2)
	if err != nil {
		t.Fatal(err)
	}
	defer kernels.Pool.Close()
	engine, dy := &Engine{name: EngineNative, kernels: kernels}, []float32{1, 2}
	weights := network.InitialWeights(1)
	got := trainOnce(t, network, engine, weights, images, dy, 1, true, 1, 0)
	compareEvaluated(t, network, engine, got, evaluateReference(t, network, weights, images, dy, 1,
		true, 1, 0))
	if got.logits[1] != 100 {
		t.Errorf("the maximum is %v, want 100", got.logits[1])
	}
}
