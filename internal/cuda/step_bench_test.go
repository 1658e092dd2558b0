//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/train"
)

// BenchmarkStep is a steady training step, its loss read once in 16: E1 and E2 over
// the batch size. gpu-check reads its output.
func BenchmarkStep(b *testing.B) {
	for _, name := range []string{"e1", "e2"} {
		for _, batch := range []int{32, 128, 512} {
			b.Run(fmt.Sprintf("%s/batch=%d", name, batch), func(b *testing.B) {
				g := openDevice(b)
				network, config := experiment(b, name)
				set := datasettest.Digits(b, 10000)
				steps := set.Len() / batch
				session := openSession(b, g, network, config, set)
				order := make([]int, set.Len())
				for i := range order {
					order[i] = i
				}
				// Each pass over the set is an epoch, as in training; the first two steps
				// compile and capture.
				step := func(i int) {
					if i%steps == 0 {
						if err := session.BeginEpoch(order, 0); err != nil {
							b.Fatal(err)
						}
					}
					if err := session.Step(batch); err != nil {
						b.Fatal(err)
					}
				}
				for i := range 3 {
					step(i)
				}
				b.ResetTimer()
				for i := range b.N {
					step(i)
					if i%16 == 15 {
						if _, err := session.Account(); err != nil {
							b.Fatal(err)
						}
					}
				}
				if _, err := session.Account(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}

// openSession opens a session as a trainer does, from the initial weights.
func openSession(b *testing.B, g *gpu, network *builder.Network, config train.Config, set *dataset.Set) train.Session {
	b.Helper()
	var session train.Session
	config.Device = sessionTaker{g, &session}
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(trainer.Close)
	if _, err := trainer.Evaluate(b.Context(), set); err != nil {
		b.Fatal(err)
	}
	return session
}

// sessionTaker is a train.Device that hands its session out.
type sessionTaker struct {
	*gpu
	session *train.Session
}

func (s sessionTaker) NewSession(job train.Job) (train.Session, error) {
	session, err := s.gpu.NewSession(job)
	*s.session = session
	return session, err
}
