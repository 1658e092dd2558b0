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
	"slipway/dataset"
	"slipway/train"
)

// resNet20 is the residual network of 20 layers for CIFAR-10 (He et al., 2016, section 4.2), with
// convolutions on the short cuts that change the shape, as torchvision has them.
func resNet20(b testing.TB) *builder.Network {
	b.Helper()
	conv := func(filters, kernel, stride int) builder.Layer {
		return builder.Conv2D{
			Filters: filters, Kernel: builder.Square(kernel), Stride: builder.Square(stride),
			Padding: builder.Square(kernel / 2), NoBias: true,
		}
	}
	g := builder.NewGraph("resnet20", builder.Shape{3, 32, 32})
	x := g.Then(g.Input(), conv(16, 3, 1), builder.BatchNorm{}, builder.ReLU{})
	for stage, filters := range []int{16, 32, 64} {
		for block := range 3 {
			stride, short := 1, x
			if stage > 0 && block == 0 {
				stride = 2
				short = g.Then(x, conv(filters, 1, 2), builder.BatchNorm{})
			}
			y := g.Then(x, conv(filters, 3, stride), builder.BatchNorm{}, builder.ReLU{}, conv(filters, 3, 1), builder.BatchNorm{})
			x = g.Then(g.Join(builder.Add{}, y, short), builder.ReLU{})
		}
	}
	return finished(b, g, x)
}

// invertedResiduals is MobileNetV2 (Sandler et al., 2018) for 32×32: strides of 1 in its first stages.
func invertedResiduals(b testing.TB) *builder.Network {
	b.Helper()
	g := builder.NewGraph("mobilenetv2", builder.Shape{3, 32, 32})
	conv := func(filters, kernel, stride, groups int) builder.Layer {
		return builder.Conv2D{
			Filters: filters, Kernel: builder.Square(kernel), Stride: builder.Square(stride),
			Padding: builder.Square(kernel / 2), Groups: groups, NoBias: true,
		}
	}
	x := g.Then(g.Input(), conv(32, 3, 1, 1), builder.BatchNorm{}, builder.ReLU6{})
	channels := 32
	for _, stage := range []struct{ expand, filters, blocks, stride int }{
		{1, 16, 1, 1}, {6, 24, 2, 1}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
	} {
		for block := range stage.blocks {
			stride, wide, y := 1, channels*stage.expand, x
			if block == 0 {
				stride = stage.stride
			}
			if stage.expand > 1 {
				y = g.Then(y, conv(wide, 1, 1, 1), builder.BatchNorm{}, builder.ReLU6{})
			}
			y = g.Then(y, conv(wide, 3, stride, wide), builder.BatchNorm{}, builder.ReLU6{},
				conv(stage.filters, 1, 1, 1), builder.BatchNorm{})
			if stride == 1 && channels == stage.filters {
				y = g.Join(builder.Add{}, y, x)
			}
			x, channels = y, stage.filters
		}
	}
	return finished(b, g, g.Then(x, conv(1280, 1, 1, 1), builder.BatchNorm{}, builder.ReLU6{}))
}

func finished(b testing.TB, g *builder.Graph, x builder.Value) *builder.Network {
	b.Helper()
	network, err := g.Network(g.Then(x, builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 10}))
	if err != nil {
		b.Fatal(err)
	}
	return network
}

// BenchmarkResidual is a training step of networks with short cuts on 128 images of 3×32×32.
// SLIPWAY_BENCH_THREADS is the number of threads, all if it is not set.
func BenchmarkResidual(b *testing.B) {
	b.Run("resnet20", func(b *testing.B) { benchmarkSteps(b, resNet20(b), 128) })
	b.Run("mobilenetv2", func(b *testing.B) { benchmarkSteps(b, invertedResiduals(b), 128) })
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
		Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.1, Momentum: 0.9, WeightDecay: 1e-4},
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
