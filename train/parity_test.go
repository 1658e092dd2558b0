package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"path/filepath"
	"testing"

	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/dataset"
	"slipway/scripts/golden/goldentest"
)

// The experiments are compared with PyTorch's float32 run from the same weights
// on the same batches. Each loss may be off by lossTolerance, each gradient by a
// thousandth of itself and, for sums that cancel, by a hundred-thousandth of the
// tensor's largest. (PyTorch's own float32 is up to 2.2e-5 and 1.1e-6 of the
// largest away from its float64.)
const lossTolerance = 1e-4

var gradientTolerance = goldentest.Tolerance{Relative: 1e-3, OfLargest: 1e-5}

func TestExperimentsAgreeWithPyTorch(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	e2, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Open(context.Background(), string(dataset.Train), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, experiment := range []struct {
		network *builder.Network
		penalty Penalty
	}{{e1, Penalty{}}, {e2, Penalty{L1: 0.001, L2: 0.001}}} {
		name := experiment.network.Name()
		t.Run(name, func(t *testing.T) {
			golden := goldentest.Read(t, filepath.Join("testdata", name+".safetensors"))
			checkInputs(t, golden, experiment.network, set)
			eachEngine(t, func(t *testing.T, engine string) {
				trainer, err := New(experiment.network, set, Config{
					Data: "train", Seed: golden.Seed, Engine: engine, ParameterPenalty: experiment.penalty,
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				checkParity(t, trainer, golden.Cases[0])
			})
		})
	}
}

// checkInputs ends the test if the golden file was made from other weights or
// batches than the seed gives now.
func checkInputs(t *testing.T, golden *goldentest.File, network *builder.Network,
	set *dataset.Set) {
	t.Helper()
	sum := sha256.New()
	for _, weight := range network.InitialWeights(golden.Seed) {
		if err := binary.Write(sum, binary.LittleEndian, weight.Data); err != nil {
			t.Fatal(err)
		}
	}
	batches, err := dataset.NewBatches(set.Len(), 32, golden.Seed)
	if err != nil {
		t.Fatal(err)
	}
	steps := len(golden.Cases[0].Floats(t, "losses"))
	chosen, err := set.Subset(batches.Order(0)[:steps*32])
	if err != nil {
		t.Fatal(err)
	}
	sum.Write(chosen.Images)
	sum.Write(chosen.LabelBytes())
	if got := hex.EncodeToString(sum.Sum(nil)); got != golden.InputsSHA256 {
		t.Fatalf(
			"%s: the weights and batches of seed %d have the sha256 %s, the golden file was made from %s; if that is meant to be, run scripts/golden/make-golden",
			network.Name(), golden.Seed, got, golden.InputsSHA256)
	}
}

// checkParity trains on the first batches of the first epoch.
func checkParity(t *testing.T, trainer *Trainer, golden goldentest.Case) {
	t.Helper()
	losses, crossEntropies := golden.Floats(t, "losses"), golden.Floats(t, "cross_entropies")
	for step, indices := range trainer.batches.Epoch(0, 0) {
		if step == len(losses) {
			break
		}
		if err := trainer.step(t.Context(), indices); err != nil {
			t.Fatal(err)
		}
		p, err := trainer.program(len(indices), true)
		if err != nil {
			t.Fatal(err)
		}
		loss, crossEntropy, err := p.losses()
		if err != nil {
			t.Fatal(err)
		}
		if !near(loss, losses[step]) || !near(crossEntropy, crossEntropies[step]) {
			t.Errorf("step %d: loss %.6f, cross-entropy %.6f; PyTorch has %.6f, %.6f", step+1, loss,
				crossEntropy, losses[step], crossEntropies[step])
		}
		if step == 0 {
			for i, parameter := range trainer.network.Parameters() {
				goldentest.Compare(t, "gradient of "+parameter.Name, gradient(t, trainer, p, i),
					golden.Floats(t, parameter.Name), gradientTolerance)
			}
		}
	}
}

func near(got float64, want float32) bool { return math.Abs(got-float64(want)) <= lossTolerance }

// gradient is that of parameter i in the last run, in the public layout.
func gradient(t *testing.T, trainer *Trainer, p *program, i int) []float32 {
	t.Helper()
	value, err := p.model[i].Grad()
	if err != nil {
		t.Fatal(err)
	}
	dense, ok := value.(*tensor.Dense)
	if !ok {
		t.Fatalf("gradient %d is a %T", i, value)
	}
	return trainer.variables.ToPublic(i, dense.Float32s())
}
