package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// trainedRun returns a run folder with three checkpoints.
func trainedRun(t *testing.T) (RunDir, *Trainer) {
	t.Helper()
	dir, _, err := CreateRun(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	config := smallConfig(builder.DefaultEngine)
	config.Epochs = 5
	trainer := newSmallTrainer(t, config)
	err = trainer.Fit(context.Background(), Callbacks{Save: func() error {
		_, err := dir.WriteCheckpoint(trainer.Checkpoint())
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return dir, trainer
}

func TestLastCheckpointsAreKept(t *testing.T) {
	dir, _ := trainedRun(t)
	paths, err := dir.Checkpoints()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	if got := fmt.Sprint(
		names); got != "[step-00000040.safetensors step-00000032.safetensors step-00000024.safetensors]" {
		t.Errorf("kept %s, want the last three", got)
	}
}

// Damaged checkpoints of later steps do not crowd out the one just written.
func TestDamagedNewerCheckpointsDoNotCount(t *testing.T) {
	dir, _ := trainedRun(t)
	paths, err := dir.Checkpoints()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths[:2] {
		if err := os.Truncate(path, 20); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint, _, _, err := dir.Latest()
	if err != nil {
		t.Fatal(err)
	}
	checkpoint.Config.KeepCheckpoints = 2
	for step := 27; step < 30; step++ {
		checkpoint.Progress.Step = step
		if _, err := dir.WriteCheckpoint(checkpoint); err != nil {
			t.Fatal(err)
		}
		if latest, path, _, err := dir.Latest(); err != nil || latest.Progress.Step != step {
			t.Fatalf("the latest after step %d is %s (%v)", step, path, err)
		}
	}
	if paths, err = dir.Checkpoints(); err != nil || len(paths) != 4 {
		t.Errorf("kept %v (%v), want the last two and those that are damaged", paths, err)
	}
}

// Whatever happens to the newest file, the one before it loads and the message
// says what was wrong.
func TestDamagedCheckpointFallsBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func([]byte) []byte
		want   string
	}{
		{"truncated", func(b []byte) []byte { return b[:len(b)/2] }, "step-00000040.safetensors"},
		{"empty", func([]byte) []byte { return nil }, "step-00000040.safetensors"},
		{"bit flipped in a tensor", func(b []byte) []byte { b[len(b)-3] ^= 4; return b }, "is damaged"},
		{"bit flipped in the state", func(b []byte) []byte {
			at := strings.Index(string(b), `seed\":7`)
			b[at+len(`seed\":`)] = '8'
			return b
		}, "is damaged"},
		{"another file", func([]byte) []byte { return []byte("not a checkpoint at all") },
			"step-00000040.safetensors"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := trainedRun(t)
			paths, err := dir.Checkpoints()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(paths[0], test.damage(raw), 0o666); err != nil {
				t.Fatal(err)
			}
			checkpoint, path, damaged, err := dir.Latest()
			if err != nil {
				t.Fatal(err)
			}
			if path != paths[1] || checkpoint.Progress.Step != 32 {
				t.Errorf("loaded %s at step %d, want the checkpoint of step 32", path, checkpoint.Progress.Step)
			}
			if len(damaged) != 1 || !strings.Contains(damaged[0].Error(), test.want) ||
				!strings.Contains(damaged[0].Error(), paths[0]) {
				t.Errorf("damage reported as %v, want the file and %q", damaged, test.want)
			}
		})
	}
}

// Every single flipped bit is found: none gives a checkpoint that reads.
func TestEveryFlippedByteIsFound(t *testing.T) {
	dir, _ := trainedRun(t)
	paths, err := dir.Checkpoints()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "flipped.safetensors")
	for at := 0; at < len(raw); at += 1 + at/64 {
		flipped := append([]byte(nil), raw...)
		flipped[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, flipped, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadCheckpoint(path); err == nil {
			t.Fatalf("bit %d of byte %d flipped, and the checkpoint still reads", at%8, at)
		}
	}
}

func TestNoWholeCheckpoint(t *testing.T) {
	dir, _ := trainedRun(t)
	paths, err := dir.Checkpoints()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := os.Truncate(path, 20); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, damaged, err := dir.Latest(); err == nil || len(damaged) != 3 ||
		!strings.Contains(err.Error(), "none of its 3 checkpoints is whole") {
		t.Errorf("error %v with %d damaged", err, len(damaged))
	}
	if _, err := OpenRun(t.TempDir()); err == nil ||
		!strings.Contains(err.Error(), "is not the folder of a run") {
		t.Errorf("OpenRun of an empty folder: %v", err)
	}
}

func TestEarlierRunIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e1")
	for i, want := range []string{"", path + ".1", path + ".2"} {
		dir, movedTo, err := CreateRun(path)
		if err != nil {
			t.Fatal(err)
		}
		if movedTo != want {
			t.Errorf("run %d moved the earlier one to %q, want %q", i, movedTo, want)
		}
		if err := dir.write("mark", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{path + ".1", path + ".2", path} {
		if mark, err := os.ReadFile(filepath.Join(name, "mark")); err != nil || mark[0] != byte(i) {
			t.Errorf("%s holds run %v (%v), want run %d", name, mark, err, i)
		}
	}
}

// Where no other name is possible, the earlier run stays and the new one fails.
func TestEarlierRunThatCannotBeMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255)) // the longest name of most file systems
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Skip("this file system takes no such name:", err)
	}
	if _, movedTo, err := CreateRun(path); err == nil ||
		!strings.Contains(err.Error(), "move the earlier run aside") {
		t.Errorf("moved to %q, %v", movedTo, err)
	}
}

func TestResumeRejectsOtherSettings(t *testing.T) {
	_, trainer := trainedRun(t)
	checkpoint := trainer.Checkpoint()
	config := checkpoint.Config
	config.Epochs = 9
	if _, err := Resume(checkpoint, datasettest.Bars(t, 60), config); err != nil {
		t.Errorf("more epochs: %v", err)
	}
	config.BatchSize = 16
	config.Optimizer.LearningRate = 0.5
	_, err := Resume(checkpoint, datasettest.Bars(t, 60), config)
	if err == nil || !strings.Contains(err.Error(), "batch_size was 8 and is now 16") ||
		!strings.Contains(err.Error(), "optimizer was") {
		t.Errorf("error %v, want both settings named", err)
	}
}

// A run goes on with its own data, wherever that is now, and with no other; a
// checkpoint of before the digest was kept goes on with what it is given.
func TestResumeKnowsItsData(t *testing.T) {
	_, trainer := trainedRun(t)
	config := trainer.Config()
	config.Data = "elsewhere/small"
	checkpoint, _ := savedAndResumed(t, trainer, datasettest.Bars(t, 60))
	moved, err := Resume(checkpoint, datasettest.Bars(t, 60), config)
	if err != nil || moved.Config().Data != "elsewhere/small" {
		t.Errorf("a set that was moved: %v", err)
	}
	other := *datasettest.Bars(t, 60)
	other.Images = slices.Clone(other.Images)
	other.Images[5] ^= 1
	if _, err := Resume(checkpoint, &other, config); err == nil || !strings.Contains(err.Error(),
		"cannot resume with other data") || !strings.Contains(err.Error(), other.Digest()) {
		t.Errorf("another pixel: %v", err)
	}
	checkpoint.Data = ""
	if _, err := Resume(checkpoint, &other, config); err != nil {
		t.Errorf("an older checkpoint: %v", err)
	}
}

func TestWeightsFileIsAStateDict(t *testing.T) {
	network := smallNetwork(t)
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	weights := network.InitialWeights(3)
	if err := WriteWeights(path, weights); err != nil {
		t.Fatal(err)
	}
	read, prefix, err := ReadWeights(path, network)
	if err != nil || prefix != "" {
		t.Fatal(prefix, err)
	}
	for i, tensor := range weights {
		for j, value := range tensor.Data {
			if read[i].Data[j] != value {
				t.Fatalf("%s[%d] = %v, want %v", tensor.Name, j, read[i].Data[j], value)
			}
		}
	}
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadWeights(path, e1); err == nil ||
		!strings.Contains(err.Error(), "of another shape: conv1.weight (3×1×3×3, needed is 32×1×5×5)") {
		t.Errorf("weights of another network: %v", err)
	}
	shorter, err := builder.New("shorter", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadWeights(path, shorter); err == nil ||
		!strings.Contains(err.Error(), "unexpected: fc1.weight (8×12)") {
		t.Errorf("weights with more tensors: %v", err)
	}
}
