package train

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"slipway/builder"
	"slipway/dataset"
)

// BenchmarkShards is what it costs one rank to deal its batches to 8 shards: E1's step with and
// without, on one thread, in turns, so that a busy machine slows both.
func BenchmarkShards(b *testing.B) {
	network, err := builder.E1(10)
	if err != nil {
		b.Fatal(err)
	}
	set, err := dataset.Open(b.Context(), "t10k", dataset.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range []int{32, 64, 128, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
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
		})
	}
}
