package train

import (
	"fmt"
	"math"
	"os/exec"
	"testing"

	"slipway/builder"
	"slipway/dataset"
)

// experimentTrainer returns a trainer of E1 on the test images.
func experimentTrainer(t testing.TB, engine string, batch, threads int) (*Trainer, []int) {
	t.Helper()
	network, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(network, set, Config{BatchSize: batch, Engine: engine, Threads: threads}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	return trainer, trainer.batches.Order(0)[:batch]
}

// In a steady step nothing of ours allocates: not the feeding, the operators,
// the loss or the optimizer. What is left is Gorgonia's TapeMachine, which makes
// a slice of inputs for each instruction and a goroutine and two channels for
// each run; it is measured on a graph of the same operators that do nothing.
func TestSteadyStepAllocatesNothingOfOurs(t *testing.T) {
	trainer, indices := experimentTrainer(t, builder.EngineNative, 32, 1)
	step := func() {
		if err := trainer.step(t.Context(), indices); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		step()
	}
	whole := fewestAllocations(step)
	program, err := trainer.program(32, true)
	if err != nil {
		t.Fatal(err)
	}
	machine := fewestAllocations(func() {
		if err := program.run(); err != nil {
			t.Fatal(err)
		}
	})
	if whole != machine {
		t.Errorf(
			"a step allocates %v times, of which the TapeMachine's run %v: feeding, loss and optimizer must not",
			whole, machine)
	}
	if perNode := machine / float64(len(program.graph.Expr.AllNodes())); perNode > 4 {
		t.Errorf(
			"the TapeMachine's run allocates %v times, %.1f a node; its own slices are at most 4 a node",
			machine, perNode)
	}
}

// fewestAllocations is how often a function allocates, in the best of some tries: what the
// rest of the process allocates meanwhile counts, too.
func fewestAllocations(f func()) float64 {
	fewest := math.Inf(1)
	for range 5 {
		fewest = min(fewest, testing.AllocsPerRun(20, f))
	}
	return fewest
}

// BenchmarkStep is the trainer's whole step of E1: feeding, forward pass, loss,
// gradients, Adam. Package kernel's BenchmarkStepE1 is the arithmetic alone, of
// random weights.
func BenchmarkStep(b *testing.B) {
	for _, engine := range builder.EngineNames() {
		for _, batch := range []int{32, 256} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/batch=%d/threads=%d", engine, batch, threads), func(b *testing.B) {
					benchmarkStep(b, engine, batch, threads)
				})
			}
		}
	}
}

// BenchmarkStepBesideBusyProcess is BenchmarkStep on a machine of which another
// process keeps one core busy. Two threads should lose no more to it than the
// time that it takes from them.
func BenchmarkStepBesideBusyProcess(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("native/batch=32/threads=%d", threads), func(b *testing.B) {
			busy := exec.CommandContext(b.Context(), "sh", "-c", "while :; do :; done")
			if err := busy.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() {
				_ = busy.Process.Kill()
				_ = busy.Wait() // says that it was killed
			}()
			benchmarkStep(b, builder.EngineNative, 32, threads)
		})
	}
}

func benchmarkStep(b *testing.B, engine string, batch, threads int) {
	b.Helper()
	trainer, _ := experimentTrainer(b, engine, batch, threads)
	order, next := trainer.batches.Order(0), 0
	step := func() {
		if next+batch > len(order) {
			next = 0
		}
		if err := trainer.step(b.Context(), order[next:next+batch]); err != nil {
			b.Fatal(err)
		}
		next += batch
	}
	// Trained for a while, most gradients of a convolution are zero, and these are
	// left out: so are the first steps.
	if engine == builder.EngineNative {
		for range len(order) / batch {
			step()
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
