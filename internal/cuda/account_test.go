//go:build gpu && linux && amd64

package cuda

import (
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/internal/datasettest"
	"slipway/train"
)

// A steady step allocates nothing and copies nothing; the host looks at the loss
// once in 16 steps, with one copy. The bounds on the launches are what the graphs
// of the experiments need: a change that adds one has to say so here.
func TestASteadyStepAllocatesAndCopiesNothing(t *testing.T) {
	t.Setenv(GraphStepsVariable, "1")
	for _, test := range []struct {
		name     string
		launches int
	}{{"e1", 16}, {"e2", 19}} {
		t.Run(test.name, func(t *testing.T) {
			g := openDevice(t)
			network, config := experiment(t, test.name)
			config.BatchSize = 8
			var n noted
			config.Device = n.by(g)
			trainer, err := train.New(network, datasettest.Digits(t, 50*8), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer trainer.Close()
			var calls [2]int // allocations and copies that the simulator saw, over the steady steps
			seen := func() [2]int {
				if simulated == nil {
					return [2]int{}
				}
				return [2]int{simulated.Calls("cuMemAlloc_v2"), simulated.Calls("cuMemcpyDtoHAsync_v2") + simulated.Calls("cuMemcpyHtoDAsync_v2")}
			}
			count := 0
			if err := trainer.Fit(t.Context(), train.Callbacks{Step: func(train.StepReport) error {
				switch count++; count {
				case 3:
					calls = seen()
				case 48:
					for i, now := range seen() {
						calls[i] = now - calls[i]
					}
				}
				return nil
			}}); err != nil {
				t.Fatal(err)
			}
			// A step is recorded before the trainer looks at its loss: the copy of
			// step 16 shows in step 17.
			copies := 0
			for i := 3; i < 48; i++ {
				before, now := n.steps[i-1], n.steps[i]
				if now.Allocations != before.Allocations || now.Copies-before.Copies > 1 || now.Launches != before.Launches || now.Graphs != before.Graphs+1 {
					t.Errorf("step %d: %+v after %+v; want no allocation, one copy at most and one graph", i+1, now, before)
				}
				copies += now.Copies - before.Copies
			}
			if simulated != nil && (calls[0] != 0 || calls[1] != 3) {
				t.Errorf("the simulator saw %d allocations and %d copies in steps 4 to 48, want 0 and 3", calls[0], calls[1])
			}
			if len(n.launched) > test.launches {
				t.Errorf("a step is %d launches, more than %d: %v", len(n.launched), test.launches, n.launched)
			}
			t.Logf("%s: a steady step is 1 graph of %d launches, 0 allocations, %.3f copies (%d in %d steps)", test.name, len(n.launched), float64(copies)/45, copies, 45)
			t.Logf("%s: %v", test.name, n.launched)
		})
	}
}

// The arguments of a launch have room of a fixed size.
func TestALaunchHasNoMoreArgumentsThanItHasRoomFor(t *testing.T) {
	g := openDevice(t)
	arguments := make([]any, maxArguments+1)
	for i := range arguments {
		arguments[i] = i
	}
	if _, err := g.kernel("adam", 1, 1, arguments[1:]...); err != nil {
		t.Error(err)
	}
	if _, err := g.kernel("adam", 1, 1, arguments...); err == nil || !strings.Contains(err.Error(), "kernel adam: 25 arguments, a launch takes 24") {
		t.Errorf("%d arguments: %v", len(arguments), err)
	}
}

// The PTX has the kernels that this package launches and no others; the simulator
// compares their parameters with kernels.cu when it loads them.
func TestKernelsAreThoseOfThePTX(t *testing.T) {
	var entries []string
	for _, found := range entryPattern.FindAllStringSubmatch(kernelsPTX, -1) {
		entries = append(entries, found[1])
	}
	slices.Sort(entries)
	if want := slices.Sorted(slices.Values(kernelNames())); !slices.Equal(entries, want) {
		t.Errorf("kernels.ptx has %v, the package launches %v; scripts/cuda-kernels makes it again", entries, want)
	}
}

// A normalisation is two launches each way: a change that adds one has to say so here.
func TestLaunchesOfAResNet(t *testing.T) {
	const most = 151
	network, err := zoo.New("resnet20", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		t.Fatal(err)
	}
	graph := plainGraph(t, network, train.Config{}, 1)
	g := openDevice(t)
	var machine *Machine
	if err := g.thread.do(func() (err error) {
		machine, err = newMachine(g, machineOptions{
			Wanted: append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...),
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, l := range machine.launches {
		counts[l.name]++
	}
	t.Logf("ResNet-20: %d launches: %v", len(machine.launches), counts)
	if len(machine.launches) > most {
		t.Errorf("ResNet-20 is %d launches, more than %d", len(machine.launches), most)
	}
	if err := machine.Close(); err != nil {
		t.Error(err)
	}
}
