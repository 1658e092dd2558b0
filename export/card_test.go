package export

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/atomicfile"
	"slipway/internal/inspect"
	"slipway/onnx"
	"slipway/train"
)

var update = flag.Bool("update", false,
	"write the cards, inspect.txt and pictures beside the graphs again, from the files")

const graphs = "../graphs"

// committed returns the graphs of the two experiments, and any other that has a card.
func committed(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(graphs, "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	paths = slices.DeleteFunc(paths, func(path string) bool {
		_, err := os.Stat(filepath.Join(folder(path), cardFile))
		return err != nil
	})
	for _, name := range []string{"e1.onnx", "e2.onnx"} {
		if !slices.Contains(paths, filepath.Join(graphs, name)) {
			t.Fatalf("%s has no card for %s", graphs, name)
		}
	}
	return paths
}

// The card, what inspect says and the picture beside each graph are what its file
// and run.json give, to the last byte.
func TestCardsComeFromTheFiles(t *testing.T) {
	for _, path := range committed(t) {
		files, err := Beside(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 3 {
			t.Errorf("%s: %d files are made", path, len(files))
		}
		for name, want := range files {
			beside := filepath.Join(folder(path), name)
			if *update {
				if err := atomicfile.WriteBytes(beside, want); err != nil {
					t.Fatal(err)
				}
			}
			have, err := os.ReadFile(beside)
			if err != nil {
				t.Fatal(err)
			}
			if string(have) != string(want) {
				t.Errorf(
					"%s is not what the file gives (go test ./export -run Cards -update writes it again); first difference: %s",
					beside, firstDifference(string(have), string(want)))
			}
		}
	}
}

func firstDifference(have, want string) string {
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "have " + a[i] + "\nwant " + b[i]
		}
	}
	return "one is longer"
}

// The accuracy that file and card tell is that of the trainer's own answers, which
// lie beside them and are of this very file; a recorded runtime that agrees in all
// labels has as many right.
func TestFiguresOfTheCards(t *testing.T) {
	test, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range committed(t) {
		reference, err := infer.ReadReference(filepath.Join(folder(path), "trainer_logits.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		inspection, err := inspect.File(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if reference.ModelSHA256 != inspection.SHA256 {
			t.Errorf("the trainer's answers beside %s are of the file %s, not of %s", path,
				reference.ModelSHA256, inspection.SHA256)
		}
		right := rightShare(t, path, reference, test)
		files, err := Beside(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		card := string(files[cardFile])
		accuracy := regexp.MustCompile(`\| trainer \(\w+ engine\) \| ([\d.]+) % \|`).
			FindStringSubmatch(card)
		if accuracy == nil || accuracy[1] != right {
			t.Errorf("%s: the trainer's answers are right in %s %%, the card says %v", path, right, accuracy)
		}
		for _, row := range regexp.MustCompile(`\| onnx\S+ \S+, \w+ \| ([\d.]+) % \| 0 \|`).
			FindAllStringSubmatch(card, -1) {
			if row[1] != right {
				t.Errorf("%s: %s has no other label, but another accuracy than %s %%", path, row[0], right)
			}
		}
	}
}

// rightShare is how many per cent of the test images the trainer's answers are right of. Of
// pictures that the repository does not have, it is what the file records.
func rightShare(t *testing.T, path string, reference *infer.Reference, test dataset.Source) string {
	t.Helper()
	if reference.DataSHA256 == test.Info().SHA256 {
		counted, err := reference.Count(t.Context(), test)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%.2f", 100*float64(counted.Correct)/float64(test.Len()))
	}
	model, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	record, ok, err := model.TrainingRecord()
	if err != nil || !ok || record.TestSHA256 != reference.DataSHA256 ||
		record.TestImages != reference.Logits.N {
		t.Fatalf("%s: its answers are of other images than its accuracy: %+v, %v", path, record, err)
	}
	return fmt.Sprintf("%.2f", 100*record.TestAccuracy)
}

// What the protocol of a card says of batches.
func TestProtocolTellsHowBatchesAreDealt(t *testing.T) {
	config := train.Config{BatchSize: 64, Optimizer: train.OptimizerConfig{Name: "adam",
		LearningRate: 0.001}}
	plain := protocol(config)
	rest, ok := strings.CutPrefix(plain, "batches of 64, ")
	if !ok {
		t.Fatalf("the protocol is %q", plain)
	}
	for _, test := range []struct {
		accumulate, shards int
		batchNorm, says    string
	}{
		{0, 1, "", ""},
		{0, 8, "", "each dealt to 8 shards, "},
		{0, 8, train.BatchNormShard,
			"each dealt to 8 shards with BatchNorm by each shard's own statistics, "},
		{2, 8, "", "2 of them a step, each dealt to 8 shards, "},
	} {
		config.Accumulate, config.Shards, config.BatchNorm = test.accumulate, test.shards, test.batchNorm
		if got, want := protocol(config), "batches of 64, "+test.says+rest; got != want {
			t.Errorf("%+v: the protocol is %q, want %q", test, got, want)
		}
	}
}

// What the protocol of a card says of the optimizer: what is not its default.
func TestProtocolTellsOfTheOptimizer(t *testing.T) {
	for want, config := range map[string]train.Config{
		"sgd with learning rate 0.1, ": {Optimizer: train.OptimizerConfig{Name: "sgd",
			LearningRate: 0.1}},
		"sgd with learning rate 0.1, momentum 0.9, weight decay 0.0005, ": {
			Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.1, Momentum: 0.9,
				WeightDecay: 5e-4}},
		"sgd with learning rate 0.1, momentum 0.9 (Nesterov), ": {
			Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.1, Momentum: 0.9, Nesterov: true}},
		"adamw with learning rate 0.001, weight decay 0.01 of weights alone, ": {Decay: train.DecayWeights,
			Optimizer: train.OptimizerConfig{Name: "adamw", LearningRate: 0.001, WeightDecay: 0.01}},
		"products in TF32 on a GPU, sgd with learning rate 0.1, ": {Precision: train.PrecisionTF32,
			Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.1}},
		"products in bfloat16 (on a CPU those of some convolutions; on a GPU activations as well), sgd with learning rate 0.1, ": {
			Precision: train.PrecisionBF16,
			Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.1}},
		"sgd with learning rate 0.2, ": {Precision: train.PrecisionFloat32,
			Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.2}},
	} {
		config.BatchSize = 64
		if got := protocol(config); !strings.HasPrefix(got, "batches of 64, "+want) {
			t.Errorf("the protocol is %q, not of %q", got, want)
		}
	}
}
