package train

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/safetensors"
)

// asBefore rewrites a checkpoint as it was written before sets were recorded: with the
// digest alone, of a set that passed for one of that many classes.
func asBefore(t *testing.T, path string, set *dataset.Set, classes int) {
	t.Helper()
	file, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal([]byte(file.Metadata[stateKey]), &state); err != nil {
		t.Fatal(err)
	}
	delete(state, "sets")
	state["data_sha256"] = set.DigestOf(classes)
	raw, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	file.Metadata[stateKey] = string(raw)
	if err := safetensors.Write(path, file); err != nil {
		t.Fatal(err)
	}
}

// Runs of before sets were recorded go on with their set, which passed for one of ten
// classes or of as many as the network has logits, and with no other.
func TestResumeOfARunWithoutARecordOfItsSets(t *testing.T) {
	trainer := newSmallTrainer(t, smallConfig(builder.EngineNative))
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	set := datasettest.Bars(t, 60)
	for _, classes := range []int{10, 3} {
		if err := WriteCheckpoint(path, trainer.Checkpoint()); err != nil {
			t.Fatal(err)
		}
		asBefore(t, path, set, classes)
		checkpoint, err := ReadCheckpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		resumed, err := Resume(checkpoint, set, checkpoint.Config)
		if err != nil {
			t.Errorf("of %d classes: %v", classes, err)
			continue
		}
		if got := resumed.Sets().Training; got.Images != 60 || got.SHA256 != set.Digest() {
			t.Errorf("its set is recorded as %+v", got)
		}
		resumed.Close()
		if _, err := Resume(checkpoint, datasettest.Bars(t, 59), checkpoint.Config); err == nil ||
			!strings.Contains(err.Error(), "other data") {
			t.Errorf("another set: %v", err)
		}
	}
	// Once the set is recorded, no other number of classes is guessed.
	checkpoint := trainer.Checkpoint()
	checkpoint.Data = set.DigestOf(10)
	if _, err := Resume(checkpoint, set, checkpoint.Config); err == nil {
		t.Error("a recorded set was taken for one of ten classes")
	}
}

// Of a checkpoint of MNIST without a record the digest tells what it is.
func TestAnOldRunOfAKnownSetIsKnown(t *testing.T) {
	trainer := newSmallTrainer(t, smallConfig(builder.EngineNative))
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	if err := WriteCheckpoint(path, trainer.Checkpoint()); err != nil {
		t.Fatal(err)
	}
	digits, err := dataset.Open(t.Context(), string(dataset.Test), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	asBefore(t, path, digits, 10)
	checkpoint, err := ReadCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := checkpoint.Sets; got.Training.Title != "MNIST" || got.Test != nil ||
		got.Attribution() == "" {
		t.Errorf("it is recorded as %+v", got)
	}
}

// What is told to others of a run's sets names no folder of this machine.
func TestSetsWithoutPlaces(t *testing.T) {
	place := dataset.Info{Name: "/home/me/own:train", Place: "/home/me/own:train", SHA256: "00"}
	told := Sets{Training: place, Validation: &place, Test: &place}.WithoutPlaces()
	raw, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "/home") || told.Training.Name != "own:train" ||
		told.Test.Name != "own:train" || place.Place == "" {
		t.Errorf("%s", raw)
	}
}
