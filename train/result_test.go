package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/safetensors"
)

// A run's result is its best epoch where it has ended with early stopping on, and its last
// elsewhere: in the checkpoint, in what it says of itself, and in a file that is read for its
// weights.
func TestResultOfARun(t *testing.T) {
	history := History{{Epoch: 1}, {Epoch: 2}, {Epoch: 3}}
	for _, test := range []struct {
		name     string
		patience int
		progress Progress
		best     bool
	}{
		{"ended early", 1, Progress{Epochs: 3, BestEpoch: 2, Finished: "early", History: history}, true},
		{"under way", 1, Progress{Epochs: 3, BestEpoch: 2, History: history}, false},
		{"ended without early stopping", 0, Progress{Epochs: 3, BestEpoch: 2, Finished: "all",
			History: history}, false},
		{"without a best epoch", 1, Progress{Epochs: 3, Finished: "all", History: history}, false},
	} {
		trainer := newSmallTrainer(t, Config{})
		t.Cleanup(trainer.Close)
		checkpoint := trainer.Checkpoint()
		checkpoint.Config.Patience, checkpoint.Progress = test.patience, test.progress
		checkpoint.Best = checkpoint.Network.InitialWeights(99)
		last, want := checkpoint.Weights, checkpoint.Weights
		epoch := 3
		if test.best {
			want, epoch = checkpoint.Best, 2
		}
		if got := checkpoint.Result(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the checkpoint's result is another", test.name)
		}
		if got := test.progress.Result(checkpoint.Config); got.Epoch != epoch {
			t.Errorf("%s: the result is of epoch %d, want %d", test.name, got.Epoch, epoch)
		}
		path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		if err := WriteCheckpoint(path, checkpoint); err != nil {
			t.Fatal(err)
		}
		read, _, err := ReadWeights(path, checkpoint.Network)
		if err != nil || !reflect.DeepEqual(read[0].Data, want[0].Data) {
			t.Errorf("%s: weights of another epoch are read (%v)", test.name, err)
		}
		checkpoint.Best = nil
		if got := checkpoint.Result(); !reflect.DeepEqual(got, last) {
			t.Errorf("%s, and the best weights are not kept: the result is another", test.name)
		}
	}
	if got := (Progress{}).Result(Config{}); !reflect.DeepEqual(got, Epoch{}) {
		t.Errorf("before the first epoch's end: %+v", got)
	}
}

// A state of another version, or without a network, is refused, though its digest is right;
// its weights alone may be taken.
func TestStatesThatAreNotRead(t *testing.T) {
	network := smallNetwork(t)
	for name, state := range map[string]checkpointState{
		"another version": {Version: checkpointVersion + 1, Network: json.RawMessage("{}")},
		"no network":      {Version: checkpointVersion},
	} {
		text, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		file := fileOf(network.InitialWeights(5), string(text))
		file.Metadata[safetensors.DigestKey] = file.Digest()
		if _, err := decodeCheckpoint(file, nil); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("is of version %d; this program reads version %d",
				state.Version, checkpointVersion)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := safetensors.Write(path, fileOf(network.InitialWeights(5), "no JSON")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadWeights(path, network); err != nil {
		t.Errorf("weights beside a state that is none: %v", err)
	}
}

// fileOf has weights and a state.
func fileOf(weights builder.Weights, state string) *safetensors.File {
	file := &safetensors.File{Metadata: map[string]string{stateKey: state}}
	for _, tensor := range weights {
		file.Tensors = append(file.Tensors, safetensors.NewFloat32(tensor.Name, tensor.Shape,
			tensor.Data))
	}
	return file
}

// A prefix is one where more of the network's parameters are found with it than without.
func TestNoPrefixIsGuessed(t *testing.T) {
	network := smallNetwork(t)
	file := &safetensors.File{Tensors: []safetensors.Tensor{safetensors.NewFloat32("module.other",
		[]int{1}, []float32{1})}}
	if got := (&weightsFile{file: file}).wrapperOf(network); got != "" {
		t.Errorf("the prefix %q", got)
	}
}

// A message names eight tensors, and how many more there are.
func TestFirstNames(t *testing.T) {
	names := strings.Fields("a b c d e f g h i j")
	for count, want := range map[int]string{1: "a", 8: "a, b, c, d, e, f, g, h",
		9: "a, b, c, d, e, f, g, h and 1 more", 10: "a, b, c, d, e, f, g, h and 2 more"} {
		if got := firstNames(names[:count]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
