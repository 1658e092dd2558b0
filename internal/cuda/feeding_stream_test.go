//go:build gpu && linux && amd64

package cuda

import (
	"strings"
	"testing"

	"slipway/internal/datasettest"
)

// fedTime is what so many fed steps of E1 take in the simulator's time, where each launch and each
// byte that is copied takes so many microseconds.
func fedTime(t *testing.T, name string, steps int, launch, copiedByte float64) (took float64) {
	t.Helper()
	t.Run(name, func(t *testing.T) { // which closes its device
		took = timeOfFedSteps(t, steps, launch, copiedByte)
	})
	return took
}

func timeOfFedSteps(t *testing.T, steps int, launch, copiedByte float64) float64 {
	t.Helper()
	const batch = 4
	g := openDevice(t)
	g.setBytes = holdsNothing
	simulated.Shallow(true)
	defer simulated.Shallow(false)
	network, config := experiment(t, "e1")
	set := datasettest.Digits(t, 100*batch)
	step := fedStepper(t, openSession(t, g, network, config, set), set.Len(), batch)
	for range 3 { // which compile, capture and launch the graph
		step()
	}
	if _, err := step().Account(); err != nil {
		t.Fatal(err)
	}
	simulated.Speed(launch, copiedByte)
	for range steps {
		step()
	}
	return simulated.Time()
}

// While a step computes, the next batch is copied: steps take as long as what takes longer, of
// copying and computing, and in one stream as long as both.
func TestACopyOverlapsAStep(t *testing.T) {
	needSimulator(t)
	const steps, launch = 12, 1.0
	computing := fedTime(t, "computing", steps, launch, 0)
	bytes := float64(newFedLayout(4, 28*28).bytes())
	for _, of := range []float64{0.25, 1, 4} { // what a copy takes of what a step does
		rate := of * computing / steps / bytes
		copying := of * computing
		longer := max(computing, copying)
		// A copy waits for the launch that brings the batch before it on; and the first copy, or the
		// last step, has nothing beside it.
		most := max(computing, copying+steps*launch) + min(computing, copying)/steps*1.01
		if got := fedTime(t, "both", steps, launch, rate); got < longer || got > most {
			t.Errorf("%d steps take %.0f µs, of which %.0f are computed and %.0f copied; want %.0f to %.0f",
				steps, got, computing, copying, longer, most)
		}
		t.Run("in one stream", func(t *testing.T) {
			t.Setenv(StreamsVariable, "1")
			both := fedTime(t, "computing", steps, launch, 0) + copying
			if got := fedTime(t, "both", steps, launch, rate); got < 0.999*both || got > 1.001*both {
				t.Errorf("%d steps take %.0f µs in one stream, want %.0f", steps, got, both)
			}
		})
	}
}

// Faults of the stream of copies end a run in an error that names the call, and leave nothing behind.
func TestFaultsOfTheStreamOfCopies(t *testing.T) {
	needSimulator(t)
	const remedy = "; " + StreamsVariable + "=1 copies between steps, without memory of its own"
	for _, test := range []struct {
		call        string
		after, code int
		want        string
	}{
		{"cuStreamCreate", 2, errorOutOfMemory,
			"cuStreamCreate: CUDA_ERROR_OUT_OF_MEMORY (2)" + remedy},
		{"cuEventCreate", 4, errorOutOfMemory, "cuEventCreate: CUDA_ERROR_OUT_OF_MEMORY (2)" + remedy},
		{"cuStreamWaitEvent", 1, errorLaunchFailed, "cuStreamWaitEvent: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"cuStreamWaitEvent", 4, errorLaunchFailed, "cuStreamWaitEvent: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"cuMemcpyDtoDAsync_v2", 2, errorLaunchFailed,
			"cuMemcpyDtoDAsync: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"cuEventRecord", 2, errorLaunchFailed, "cuEventRecord: CUDA_ERROR_LAUNCH_FAILED (719)"},
	} {
		t.Run(test.call, func(t *testing.T) {
			err := fedRunThatFails(t, test.call, test.after, test.code)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if broken := simulated.Violations(); broken != "" {
				t.Errorf("the simulator saw:\n%s", broken)
			}
		})
	}
}
