//go:build gpu && linux && amd64

package cuda

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/collective"
	"slipway/internal/cuda/simulator"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/internal/nccl"
	"slipway/train"
)

// rankVariable has a process of the tests be a rank: the JSON of a ranked.
const rankVariable = "SLIPWAY_TEST_CUDA_RANK"

// ranked is what a rank of a test does.
type ranked struct {
	Recipe     string // of dealtRecipes, or "e1"
	Folder     string // that the ranks share
	Rank, Size int
	// Stop is the step after which the last rank is asked to stop, 0 for none.
	Stop int
	// Resume says that the run goes on from the checkpoint in the folder.
	Resume bool
	// Fault is what is wrong with the last rank, nothing if it is empty.
	Fault string
}

// checkpoint is where the first rank leaves the run.
func (r ranked) checkpoint() string { return filepath.Join(r.Folder, "run.safetensors") }

// rankedRecipe is what is trained.
func rankedRecipe(t testing.TB, name string) recipe {
	if name != "e1" {
		return dealtRecipe(name)
	}
	r := recipe{name: name, network: func(t testing.TB) *builder.Network {
		network, _ := experiment(t, name)
		return network
	}, set: func(t testing.TB) *dataset.Set { return datasettest.Digits(t, 4*32+20) }}
	_, r.config = experiment(t, name)
	r.config.Shards = 4
	return r
}

// digest is that of all that a run has learned and found.
func digest(c *train.Checkpoint) string {
	sum := sha256.New()
	for _, tensors := range []builder.Weights{c.Weights, c.Average} {
		for _, tensor := range tensors {
			fmt.Fprint(sum, tensor.Name)
			_ = binary.Write(sum, binary.LittleEndian, tensor.Data)
		}
	}
	for _, slot := range slices.Sorted(maps.Keys(c.OptimizerState)) {
		for _, tensor := range c.OptimizerState[slot] {
			_ = binary.Write(sum, binary.LittleEndian, tensor.Data)
		}
	}
	for _, epoch := range c.Progress.History {
		fmt.Fprint(sum, epoch.MeanLoss, epoch.LastLoss, epoch.TrainAccuracy)
		if epoch.ValidationLoss != nil {
			fmt.Fprint(sum, *epoch.ValidationLoss)
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:8])
}

// TestAsARank is a rank of the tests below, in a process of its own.
func TestAsARank(t *testing.T) {
	var r ranked
	text := os.Getenv(rankVariable)
	if text == "" {
		return // other tests start it, and look at what it comes to
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	others, err := newWires(r.Folder, r.Rank, r.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer others.close()
	if simulated != nil {
		simulated.Reset()
	}
	if r.Fault == "no NCCL" && r.Rank == r.Size-1 {
		t.Setenv(nccl.LibraryVariable, "/nowhere/libnccl.so.2")
	}
	opened, err := OpenLocal(r.Rank)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := r.run(t, others, opened.(*gpu))
	if closed := opened.Close(); closed != nil && err == nil {
		t.Error(closed)
	}
	if err != nil {
		fmt.Printf("error on all ranks %t: %v\n", train.OnAllRanks(err), err)
	} else {
		fmt.Printf("digest %s\n", digest(checkpoint))
	}
	if r.Fault == "does not join" {
		return // what the lost thread has is given back with the process
	}
	checkSimulator(t)
}

// run trains as the rank, and returns what it came to.
func (r ranked) run(t *testing.T, others *wires, g *gpu) (*train.Checkpoint, error) {
	recipe := rankedRecipe(t, r.Recipe)
	config := recipe.config
	config.Device, config.Communicator, config.ExchangeTimeout = g, others, time.Minute
	if r.Fault != "" {
		config.ExchangeTimeout = 4 * time.Second
	}
	last := r.Rank == r.Size-1
	if last {
		config.Device = faulty{g, r.Fault}
	}
	var trainer *train.Trainer
	var err error
	if r.Resume {
		checkpoint, failed := train.ReadCheckpoint(r.checkpoint())
		if failed != nil {
			return nil, failed
		}
		trainer, err = train.Resume(checkpoint, recipe.set(t), config)
	} else {
		trainer, err = train.New(recipe.network(t), recipe.set(t), config, nil)
	}
	if err != nil {
		return nil, err
	}
	defer trainer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	err = trainer.Fit(ctx, train.Callbacks{Step: func(train.StepReport) error {
		if steps++; steps == r.Stop && last {
			cancel()
		}
		return nil
	}})
	if r.Stop > 0 && errors.Is(err, train.ErrInterrupted) {
		fmt.Printf("stopped after step %d\n", trainer.Progress().Step)
		err = nil
		if r.Rank == 0 {
			err = train.WriteCheckpoint(r.checkpoint(), trainer.Checkpoint())
		}
	}
	return trainer.Checkpoint(), err
}

// faulty is a device with something wrong with a step that all ranks have been told of, and count
// on.
type faulty struct {
	*gpu
	fault string
}

// Join implements device.Joiner.
func (f faulty) Join(ctx context.Context, ranks collective.Communicator,
	patience time.Duration) error {
	if f.fault != "does not join" {
		return f.gpu.Join(ctx, ranks, patience)
	}
	raw, err := json.Marshal(f.introduce(ranks.Rank()))
	if err != nil {
		return err
	}
	if _, err := collective.Gather(ctx, ranks, raw); err != nil {
		return err
	}
	time.Sleep(15 * time.Second)
	os.Exit(3)
	return nil
}

func (f faulty) NewSession(job device.Job) (device.Session, error) {
	s, err := f.gpu.NewSession(job)
	if err != nil {
		return nil, err
	}
	return &faultySession{Session: s, fault: f.fault}, nil
}

type faultySession struct {
	device.Session
	fault string
	steps int
}

func (s *faultySession) Step(images int) error {
	s.steps++
	switch {
	case s.steps == 3 && s.fault == "dies early":
		os.Exit(3)
	case s.steps == 6: // the epoch's last
		switch s.fault {
		case "dies":
			os.Exit(3)
		case "hangs":
			time.Sleep(15 * time.Second)
			os.Exit(3)
		}
	}
	return s.Session.Step(images)
}

// sharedFolder is one for the sockets of ranks, whose names have to be short.
func sharedFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "ranks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// needGPUs skips a test where there are neither the simulator nor so many GPUs.
func needGPUs(t *testing.T, number int) {
	t.Helper()
	if _, err := NCCL(); simulated == nil && (err != nil || len(Inspect().Devices) < number) {
		t.Skipf("needs the simulator, or %d GPUs and NCCL", number)
	}
}

// start runs the ranks, and returns what each has printed and whether it failed.
func (r ranked) start(t *testing.T, environment ...string) (outputs []string, failures []error) {
	t.Helper()
	outputs, failures = make([]string, r.Size), make([]error, r.Size)
	if r.Folder == "" {
		r.Folder = sharedFolder(t)
	}
	var all sync.WaitGroup
	for r.Rank = range r.Size {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAsARank$")
		process.Env = append(append(os.Environ(), rankVariable+"="+string(text),
			fmt.Sprint(simulator.DevicesVariable, "=", r.Size), "GOMAXPROCS=2"), environment...)
		var output bytes.Buffer
		process.Stdout, process.Stderr = &output, &output
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		rank := r.Rank
		all.Go(func() {
			failures[rank] = process.Wait()
			outputs[rank] = output.String()
		})
	}
	all.Wait()
	return outputs, failures
}

// digests returns what the run came to on each rank, of which none has failed.
func (r ranked) digests(t *testing.T, environment ...string) []string {
	t.Helper()
	outputs, failures := r.start(t, environment...)
	var all []string
	for rank, output := range outputs {
		_, found, ok := strings.Cut(output, "digest ")
		if failures[rank] != nil || !ok {
			t.Errorf("%s, rank %d of %d: %v\n%s", r.Recipe, rank, r.Size, failures[rank], output)
			continue
		}
		digest, _, _ := strings.Cut(found, "\n")
		all = append(all, digest)
	}
	return all
}

// A run has one digest, whether one process trains it or several do, each on a GPU of its own.
func TestRanksDoNotChangeTheBits(t *testing.T) {
	needGPUs(t, 4)
	for _, name := range []string{"e1", "even shards", "uneven shards", "shards of several batches",
		"shards that are normalised", "normalised shards of several batches", "shards that are fed"} {
		t.Run(name, func(t *testing.T) {
			r := rankedRecipe(t, name)
			want := digest(r.whole(t, openDevice(t)))
			for _, size := range []int{2, 4} {
				for rank, got := range (ranked{Recipe: name, Size: size}).digests(t) {
					if got != want {
						t.Errorf("rank %d of %d: %s, want %s", rank, size, got, want)
					}
				}
			}
			t.Logf("1, 2 and 4 ranks: %s", want)
		})
	}
}

// The bits are the same launch by launch, in two streams and in one.
func TestRanksWithoutGraphs(t *testing.T) {
	needGPUs(t, 2)
	const name = "uneven shards"
	want := digest(rankedRecipe(t, name).whole(t, openDevice(t)))
	for _, streams := range []string{"2", "1"} {
		r := ranked{Recipe: name, Size: 2}
		for rank, got := range r.digests(t, GraphsVariable+"=0", StreamsVariable+"="+streams) {
			if got != want {
				t.Errorf("rank %d, streams %s: %s, want %s", rank, streams, got, want)
			}
		}
	}
}

// Ranks stop after the same step, whichever is asked to, and any number of them goes on.
func TestRanksStopTogetherAndGoOn(t *testing.T) {
	needGPUs(t, 4)
	for _, name := range []string{"even shards", "shards that are fed"} {
		t.Run(name, func(t *testing.T) {
			whole := rankedRecipe(t, name).whole(t, openDevice(t))
			folder := sharedFolder(t)
			stopped := ranked{Recipe: name, Size: 2, Stop: 9, Folder: folder}
			outputs, failures := stopped.start(t)
			for rank, output := range outputs {
				// The rank is asked after its ninth step, and all know it before the tenth, their last.
				if failures[rank] != nil || !strings.Contains(output, "stopped after step 10\n") {
					t.Fatalf("rank %d: %v\n%s", rank, failures[rank], output)
				}
			}
			for _, size := range []int{1, 2, 4} {
				again := sharedFolder(t)
				data, err := os.ReadFile(stopped.checkpoint())
				if err != nil {
					t.Fatal(err)
				}
				on := ranked{Recipe: name, Size: size, Resume: true, Folder: again}
				if err := os.WriteFile(on.checkpoint(), data, 0o666); err != nil {
					t.Fatal(err)
				}
				for rank, got := range on.digests(t) {
					if want := digest(whole); got != want {
						t.Errorf("resumed on rank %d of %d: %s, want %s", rank, size, got, want)
					}
				}
			}
		})
	}
}

// A rank that is gone, or hangs, in a step that the others have begun leaves them in a kernel that
// does not end: they give it up and say so, and leave nothing behind on their GPUs.
func TestRanksThatLoseOneGiveUp(t *testing.T) {
	needGPUs(t, 2)
	for fault, want := range map[string]string{
		"dies early":    "epoch 1, step 4: exchange with rank 1: ", // of which MPI tells first
		"dies":          "remote process exited or there was a network error (6)",
		"does not join": "the GPUs of 2 ranks have not joined within 4s (-mpi-timeout): a rank has ended",
		"hangs": "another rank has not answered within NCCL for 4s: it has ended, hangs, or needs " +
			"more time (-mpi-timeout)",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r := ranked{Recipe: "even shards", Size: 2, Fault: fault}
			patience := "=2"
			if fault == "does not join" {
				patience = "=30" // NCCL's own may be longer than a run's
			}
			outputs, failures := r.start(t, simulator.PatienceVariable+patience)
			if failures[0] != nil || !strings.Contains(outputs[0], "error on all ranks false: ") ||
				!strings.Contains(outputs[0], want) {
				t.Errorf("rank 0: %v, want %q\n%s", failures[0], want, outputs[0])
			}
		})
	}
}

// What keeps the GPUs of ranks from joining is told on all of them, before anything is trained.
func TestRanksThatCannotJoin(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		fault string
		more  []string
		want  [2]string
	}{
		{"", []string{simulator.DevicesVariable + "=1"},
			[2]string{"ranks 0 and 1 have the same GPU, ", "ranks 0 and 1 have the same GPU, "}},
		{"", []string{"CUDA_VISIBLE_DEVICES=1"},
			[2]string{"ranks 0 and 1 have the same GPU, ", "start one rank a GPU"}},
		{"no NCCL", nil, [2]string{"rank 1: no NCCL can be loaded", "no NCCL can be loaded, by which " +
			"GPUs of several ranks exchange: /nowhere/libnccl.so.2: cannot open shared object file"}},
	} {
		r := ranked{Recipe: "even shards", Size: 2, Fault: test.fault}
		outputs, failures := r.start(t, test.more...)
		for rank, output := range outputs {
			if failures[rank] != nil || !strings.Contains(output, "error on all ranks true: ") ||
				!strings.Contains(output, test.want[rank]) {
				t.Errorf("%v, rank %d: %v, want %q\n%s", test, rank, failures[rank], test.want[rank],
					output)
			}
		}
	}
}

// A process takes the GPU of its number on its machine, or the only one that it is shown.
func TestTheGPUOfAProcess(t *testing.T) {
	for _, test := range []struct{ local, shown, want int }{
		{0, 1, 0}, {0, 4, 0}, {3, 4, 3}, {5, 1, 0},
	} {
		if got, missing := ordinalOf(test.local, test.shown); got != test.want || missing != nil {
			t.Errorf("%+v: %d, %v", test, got, missing)
		}
	}
	_, missing := ordinalOf(2, 2)
	if missing == nil || missing.Piece != PieceDevice || !strings.Contains(missing.Error(),
		"process 2 of this machine, counted from 0, and the driver shows 2 GPUs; start at most 2") {
		t.Errorf("%v", missing)
	}
}
