package train_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/train"
)

// BenchmarkResidual is a training step of networks with short cuts on 128 images of 3×32×32.
// SLIPWAY_BENCH_THREADS is the number of threads, all if it is not set.
func BenchmarkResidual(b *testing.B) {
	for _, family := range []interface {
		Network(name string, input builder.Shape, classes int) (*builder.Network, error)
	}{zoo.ResNet{Blocks: []int{3, 3, 3}, Width: 16, SmallImages: true},
		zoo.MobileNetV2{SmallImages: true}} {
		network, err := family.Network("small", builder.Shape{3, 32, 32}, 10)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%T", family), func(b *testing.B) { benchmarkSteps(b, network, 128) })
	}
}

func benchmarkSteps(b *testing.B, network *builder.Network, batch int) {
	const images = 512
	source := rand.New(rand.NewPCG(1, 2))
	pixels, labels := make([]uint8, images*network.Input().Elements()), make([]int32, images)
	for i := range pixels {
		pixels[i] = uint8(source.UintN(256))
	}
	for i := range labels {
		labels[i] = int32(source.IntN(10))
	}
	set, err := dataset.NewSet("random", pixels, labels, 3, 32, 32, 10)
	if err != nil {
		b.Fatal(err)
	}
	threads, _ := strconv.Atoi(os.Getenv("SLIPWAY_BENCH_THREADS"))
	trainer, err := train.New(network, set, train.Config{
		Data: set.Name, BatchSize: batch, Epochs: math.MaxInt32, Threads: threads,
		Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.1, Momentum: 0.9,
			WeightDecay: 1e-4},
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer trainer.Close()
	enough := errors.New("enough")
	steps := -2 // the first ones make the plans
	err = trainer.Fit(context.Background(), train.Callbacks{Step: func(report train.StepReport) error {
		if steps++; steps == 0 {
			b.ResetTimer()
		}
		if steps >= b.N {
			b.StopTimer()
			return fmt.Errorf("%w after %d", enough, steps)
		}
		return nil
	}})
	if !errors.Is(err, enough) {
		b.Fatal(err)
	}
	b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
}
