package train

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
)

// BenchmarkShards is what it costs one rank to deal its batches to 8 shards: a step of E1 and of
// residual networks in the form for CIFAR with and without, on one thread, in turns, so that a busy
// machine slows both.
func BenchmarkShards(b *testing.B) {
	e1, err := builder.E1(10)
	if err != nil {
		b.Fatal(err)
	}
	digits, err := dataset.Open(b.Context(), "t10k", dataset.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range []int{32, 64, 128, 256} {
		b.Run(fmt.Sprintf("e1/batch=%d", batch), func(b *testing.B) {
			benchmarkShards(b, e1, digits, batch)
		})
	}
	noise := coloured(b, 1024, 32, 32)
	resnet20 := zoo.ResNet{Blocks: []int{3, 3, 3}, Width: 16, SmallImages: true}
	resnet18 := zoo.ResNet{Blocks: []int{2, 2, 2, 2}, SmallImages: true}
	for _, residual := range []struct {
		name  string
		of    zoo.ResNet
		batch int
	}{{"resnet20", resnet20, 32}, {"resnet20", resnet20, 128}, {"resnet18", resnet18, 64}} {
		network, err := residual.of.Network(residual.name, builder.Shape{3, 32, 32}, 10)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%s/batch=%d", residual.name, residual.batch), func(b *testing.B) {
			benchmarkShards(b, network, noise, residual.batch)
		})
	}
}

func benchmarkShards(b *testing.B, network *builder.Network, set dataset.Source, batch int) {
	var trainers []*Trainer
	for _, shards := range []int{1, 8} {
		trainer, err := New(network, set, Config{BatchSize: batch, Threads: 1, Shards: shards}, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(trainer.Close)
		trainers = append(trainers, trainer)
	}
	order, next := trainers[0].batches.Order(0), 0
	times := make([][]time.Duration, 2)
	step := func() {
		if next += batch; next+batch > len(order) {
			next = 0
		}
		for i, trainer := range trainers {
			began := time.Now()
			if err := trainer.step(b.Context(), order[next:next+batch]); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(began))
		}
	}
	for range len(order) / batch { // the first steps have more gradients that are not zero
		step()
	}
	times[0], times[1] = nil, nil
	for b.Loop() {
		step()
	}
	for i, name := range []string{"1", "8"} {
		slices.Sort(times[i])
		b.ReportMetric(times[i][0].Seconds()*1e6, "µs-min-"+name)
		b.ReportMetric(times[i][len(times[i])/2].Seconds()*1e6, "µs-median-"+name)
	}
	cost := times[1][0].Seconds()/times[0][0].Seconds() - 1
	b.ReportMetric(100*cost, "%-cost-min")
}
