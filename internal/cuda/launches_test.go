//go:build gpu && linux && amd64

package cuda

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/internal/cuda/simulator"
	"slipway/internal/cuda/trace"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

// launchesVariable is the environment variable that names the file to which the launches of the
// predicted steps go, for scripts/gpu/predict.
const launchesVariable = "SLIPWAY_LAUNCHES"

// TestEachLaunchIsTraced keeps the prediction (docs/cuda-predicted.md) complete: the simulator
// notes of each launch what it reads and writes. If asked to, it writes the launches that are predicted.
func TestEachLaunchIsTraced(t *testing.T) {
	needSimulator(t)
	batches, file := []int{2}, os.Getenv(launchesVariable)
	if file != "" {
		batches = []int{32, 128}
	}
	var steps []trace.Step
	for _, network := range []string{"E1", "E2", "ResNet-20"} {
		for _, batch := range batches {
			t.Run(fmt.Sprintf("%s/batch=%d", network, batch), func(t *testing.T) {
				step := tracedStep(t, network, batch)
				for i, l := range step.Launches {
					read, written := l.Bytes()
					if read == 0 || written == 0 {
						t.Errorf("launch %d, %s of %s, reads %d bytes and writes %d: "+
							"the simulator does not note them", i, l.Name, l.Node, read, written)
					}
				}
				steps = append(steps, step)
			})
		}
	}
	if file == "" {
		return
	}
	if err := findSources(os.Getenv(simulator.Variable), steps); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// tracedStep runs a step launch by launch.
func tracedStep(t *testing.T, name string, batch int) trace.Step {
	t.Helper()
	g := openDevice(t)
	simulated.Shallow(true)
	t.Cleanup(func() { simulated.Shallow(false) })
	network, config, set := predicted(t, name, batch)
	few, err := set.Subset([]int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	var opened device.Session
	config.Device, config.BatchSize = sessionTaker{g, &opened}, batch
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if _, err := trainer.Evaluate(t.Context(), few); err != nil { // brings the weights
		t.Fatal(err)
	}
	if err := opened.BeginEpoch(inTurn(batch), 0, nil); err != nil {
		t.Fatal(err)
	}
	step := trace.Step{Network: name, Batch: batch}
	if err := g.thread.do(func() error {
		program, err := opened.(*session).trainingProgram(batch)
		if err != nil {
			return err
		}
		for _, l := range program.launches {
			seen := trace.Launch{Name: l.name, Node: l.of}
			simulated.Trace(true)
			err := runAll(g, []launch{l})
			noted := simulated.Traced()
			simulated.Trace(false)
			if err == nil {
				err = seen.Read(noted)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			step.Launches = append(step.Launches, seen)
		}
		return waitFor(g.stream)
	}); err != nil {
		t.Fatal(err)
	}
	return step
}

// predicted returns a network whose steps are predicted, as it is trained, and so many pictures.
func predicted(t *testing.T, name string,
	pictures int) (*builder.Network, train.Config, *dataset.Set) {
	t.Helper()
	if name != "ResNet-20" {
		network, config := experiment(t, strings.ToLower(name))
		return network, config, datasettest.Digits(t, pictures)
	}
	network, err := zoo.New("resnet20", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		t.Fatal(err)
	}
	source := rand.New(rand.NewPCG(1, 2))
	pixels, labels := make([]uint8, pictures*3*32*32), make([]int32, pictures)
	for i := range pixels {
		pixels[i] = uint8(source.IntN(256))
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	set, err := dataset.NewSet("noise", pixels, labels, 3, 32, 32, 10)
	if err != nil {
		t.Fatal(err)
	}
	sgd := train.OptimizerConfig{Name: "sgd", LearningRate: 0.1, Momentum: 0.9, WeightDecay: 1e-4}
	return network, train.Config{Data: "noise", Seed: 2, Epochs: 1, Optimizer: sgd}, set
}

// findSources says of the places that read and write which lines they are of, as the simulator's
// file says it.
func findSources(file string, steps []trace.Step) error {
	sources := make(map[uint64]string)
	var places bytes.Buffer
	var order []uint64
	for _, step := range steps {
		for _, l := range step.Launches {
			for _, a := range l.Accesses {
				if _, known := sources[a.Place]; !known {
					sources[a.Place] = ""
					order = append(order, a.Place)
					fmt.Fprintf(&places, "%#x\n", a.Place)
				}
			}
		}
	}
	if len(order) == 0 {
		return fmt.Errorf("%s counts no accesses: scripts/build-cuda-simulator --accesses builds one "+
			"that does", file)
	}
	command := exec.Command("addr2line", "-e", file)
	command.Stdin = &places
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("addr2line: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(output))
	for _, place := range order {
		if !lines.Scan() {
			return fmt.Errorf("addr2line: %d places, and fewer lines", len(order))
		}
		source, _, _ := strings.Cut(lines.Text(), " ") // a discriminator may follow
		sources[place] = filepath.Base(source)
	}
	for _, step := range steps {
		for _, l := range step.Launches {
			for i, a := range l.Accesses {
				l.Accesses[i].Source = sources[a.Place]
			}
		}
	}
	return nil
}
