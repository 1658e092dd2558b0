package tracking

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/study"
	"slipway/metrics"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// trained writes the folder of a run as train does, tested on the set.
func trained(t *testing.T, dir string, config train.Config, test *dataset.Set) {
	t.Helper()
	network, err := builder.New("bars", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	config.Pixels, config.BatchSize = train.PixelsUnit, 8
	trainer, err := train.New(network, datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.TestOn(test); err != nil {
		t.Fatal(err)
	}
	run, _, err := train.CreateRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	var last *train.Evaluation
	err = trainer.Fit(t.Context(), train.Callbacks{
		Save: func() error { _, err := run.WriteCheckpoint(trainer.Checkpoint()); return err },
		Epoch: func(epoch *train.Epoch) (err error) {
			last, err = trainer.Evaluate(t.Context(), test)
			epoch.TestAccuracy = &last.Accuracy
			return err
		},
	})
	labels := make([]int, test.Len())
	for i := range labels {
		labels[i] = test.Label(i)
	}
	m, metricsErr := metrics.New(t.Context(), last.Logits, labels, 3, metrics.Options{})
	if err := errors.Join(err, metricsErr); err != nil {
		t.Fatal(err)
	}
	m.Epoch = trainer.Progress().Epochs
	if err := errors.Join(run.WriteConfig(network, trainer.Config(), trainer.Sets()),
		run.WriteHistory("bars", trainer.Progress().History), run.WriteLogits(test.Name,
			last), run.WriteMetrics(m)); err != nil {
		t.Fatal(err)
	}
}

// shuffled is a test set on which runs are not all right.
func shuffled(t *testing.T) *dataset.Set {
	t.Helper()
	set := datasettest.Bars(t, 50)
	for i := range set.Labels {
		if i%5 == 0 {
			set.Labels[i] = (set.Labels[i] + 1) % 3
		}
	}
	set.Name, set.ClassNames = "bars-test", []string{"top", "middle", "bottom"}
	return set
}

func read(t *testing.T, dir string) *Record {
	t.Helper()
	record, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func TestCompare(t *testing.T) {
	root, test := t.TempDir(), shuffled(t)
	trained(t, root+"/short",
		train.Config{Epochs: 1, Optimizer: train.OptimizerConfig{LearningRate: 0.002}}, test)
	trained(t, root+"/long", train.Config{Epochs: 12, Seed: 1<<63 + 1,
		Optimizer: train.OptimizerConfig{LearningRate: 0.05}}, test)
	short, long := read(t, root+"/short"), read(t, root+"/long")
	c, err := Compare(t.Context(), short, long, test)
	if err != nil {
		t.Fatal(err)
	}
	if c.Accuracy != [2]float64{*short.TestAccuracy, *long.TestAccuracy} ||
		c.Accuracy[0] == c.Accuracy[1] {
		t.Fatalf("accuracies %v", c.Accuracy)
	}
	if c.BothRight+c.OnlyFirst+c.OnlySecond+c.BothWrong != 50 ||
		len(c.Changed) != c.OnlyFirst+c.OnlySecond {
		t.Errorf("%+v", c)
	}
	if want := float64(c.OnlySecond-c.OnlyFirst) / 50; c.Difference-want > 1e-12 ||
		want-c.Difference > 1e-12 {
		t.Errorf("difference %v, want %v", c.Difference, want)
	}
	if c.Interval == nil || !(c.Interval.Low < c.Difference && c.Difference < c.Interval.High) {
		t.Errorf("interval %v of %v", c.Interval, c.Difference)
	}
	want := []SettingPair{{"epochs", "1", "12"}, {"optimizer.learning_rate", "0.002", "0.05"},
		{"seed", "0", "9223372036854775809"}}
	if !reflect.DeepEqual(c.Settings, want) {
		t.Errorf("settings %v, want %v", c.Settings, want)
	}
	dir := root + "/report"
	if err := c.Write(t.Context(), test, dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"report.md": "Only long is right", "report.html": "data:image/png", "only-second.csv": "label",
		"comparison.json": `"mcnemar_p"`,
	} {
		if raw, err := os.ReadFile(filepath.Join(dir, name)); err != nil ||
			!strings.Contains(string(raw), text) {
			t.Errorf("%s lacks %q: %v", name, text, err)
		}
	}
	same, err := Compare(t.Context(), long, long, test)
	if err != nil || same.P != 1 || same.Interval != nil || len(same.Changed) != 0 ||
		len(same.Settings) != 0 {
		t.Errorf("a run with itself: %+v, %v", same, err)
	}
	if !strings.Contains(same.Sentence(), "right on the same images") {
		t.Error(same.Sentence())
	}
	if raw, err := json.Marshal(same); err != nil || !strings.Contains(string(raw), `"settings":[]`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestRunsOfOtherImagesAreRefused(t *testing.T) {
	root, test := t.TempDir(), shuffled(t)
	trained(t, root+"/a", train.Config{Epochs: 1}, test)
	trained(t, root+"/b", train.Config{Epochs: 1}, datasettest.Bars(t, 50))
	_, err := Compare(t.Context(), read(t, root+"/a"), read(t, root+"/b"), test)
	if err == nil || !strings.Contains(err.Error(), "cannot be compared") {
		t.Errorf("%v", err)
	}
}

// A run that has gone on since its end has answers and figures of an epoch before.
func TestAnswersOfAnEarlierEpochAreRefused(t *testing.T) {
	root, test := t.TempDir(), shuffled(t)
	trained(t, root+"/a", train.Config{Epochs: 2}, test)
	record := read(t, root+"/a")
	if record.Metrics == nil {
		t.Fatal("no metrics")
	}
	other := 0.5
	record.History = append(record.History, train.Epoch{Epoch: 3, TestAccuracy: &other})
	raw, err := record.History.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/a/history.json", raw, 0o666); err != nil {
		t.Fatal(err)
	}
	record = read(t, root+"/a")
	if record.Metrics != nil || *record.TestAccuracy != other {
		t.Errorf("metrics %v, accuracy %v", record.Metrics, *record.TestAccuracy)
	}
	if _, err := Compare(t.Context(), record, record, test); err == nil ||
		!strings.Contains(err.Error(), "train -resume") {
		t.Errorf("%v", err)
	}
	if err := os.Remove(root + "/a/bars-test_logits.safetensors"); err != nil {
		t.Fatal(err)
	}
	if _, err := Compare(t.Context(), record, record, test); err == nil ||
		!strings.Contains(err.Error(), "no answers on its test set yet") {
		t.Errorf("%v", err)
	}
}

// What a run is worth is that of the epoch whose weights it keeps, also where it did not stop
// early.
func TestARunThatKeepsItsBestEpoch(t *testing.T) {
	root, test := t.TempDir(), shuffled(t)
	for name, config := range map[string]train.Config{
		"best":     {Epochs: 3, Best: train.BestValidationLoss, ValidationFraction: 0.2},
		"patience": {Epochs: 3, Patience: 3, ValidationFraction: 0.2},
	} {
		dir := filepath.Join(root, name)
		trained(t, dir, config, test)
		record := read(t, dir)
		kept, last := record.Metrics, 0.01
		record.History = append(record.History, train.Epoch{Epoch: 4, TestAccuracy: &last})
		raw, err := record.History.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "history.json"), raw, 0o666); err != nil {
			t.Fatal(err)
		}
		record = read(t, dir)
		if record.Metrics == nil || *record.TestAccuracy != kept.Accuracy {
			t.Errorf("%s: metrics %v, accuracy %v; the kept epoch's is %v", name, record.Metrics,
				*record.TestAccuracy, kept.Accuracy)
			continue
		}
		if _, err := Compare(t.Context(), record, record, test); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListPassesOverWhatIsNoRun(t *testing.T) {
	root, test := t.TempDir(), shuffled(t)
	trained(t, root+"/a", train.Config{Epochs: 1}, test)
	trained(t, root+"/a/again", train.Config{Epochs: 2}, test)
	for path, text := range map[string]string{"notes/todo.txt": "nothing", "broken/config.json": "{",
		"studies/pool/1/config.json": "{"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	records, damaged, err := List(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[0].Name != "a" || records[1].Name != "a/again" ||
		len(records[1].History) != 2 || records[0].Network != "bars" {
		t.Errorf("%+v", records)
	}
	if len(damaged) != 1 || !strings.Contains(damaged[0].Error(), "broken") {
		t.Errorf("damaged: %v", damaged)
	}
	if _, err := Read(root + "/notes"); !errors.Is(err, ErrNoRun) {
		t.Errorf("%v", err)
	}
	svg, err := Curves(records)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"training loss", "test accuracy (%)", ">a/again<"} {
		if !strings.Contains(string(svg), text) {
			t.Errorf("the picture lacks %q", text)
		}
	}
	if strings.Contains(string(svg), "validation") {
		t.Error("there is a plot of what was not measured")
	}
	if _, err := Curves([]*Record{{Name: "new"}}); err == nil {
		t.Error("a run without an epoch was drawn")
	}
}

// Runs of studies that are tested on the first images of one set are compared on those that both
// have.
func TestCompareRunsOfCutSets(t *testing.T) {
	root := t.TempDir()
	var records []*Record
	for _, images := range []int{60, 100} {
		name := fmt.Sprintf("first%d", images)
		path := filepath.Join(t.TempDir(), name+".yaml")
		text := fmt.Sprintf("data: t10k\ntest: t10k\nimages: 200\ntest_images: %d\nbase: flat\n"+
			"networks: {flat: [flatten, dense: {units: 10}]}\nfixed: {epochs: 1}\ngrid: {learning_rate: [0.0%d]}\n",
			images, images)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := study.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		results, err := study.Execute(t.Context(), file,
			study.Options{Root: root, Progress: study.NewReporter(io.Discard, false, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, read(t, results[0].Dir))
	}
	test, err := SameTest(records[0], records[1])
	if err != nil || test.Images != 10000 {
		t.Fatalf("%+v, %v", test, err)
	}
	set, err := dataset.OpenSource(t.Context(), "t10k", dataset.Options{Part: dataset.Test})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compare(t.Context(), records[0], records[1], set)
	if err != nil {
		t.Fatal(err)
	}
	if c.Images != 60 || c.BothRight+c.OnlyFirst+c.OnlySecond+c.BothWrong != 60 ||
		c.Accuracy[0] != *records[0].TestAccuracy || c.DataSHA256 != records[0].Sets.Test.SHA256 {
		t.Errorf("%+v", c)
	}
	for _, change := range c.Changed {
		if change.Image >= 60 {
			t.Errorf("image %d is not of both", change.Image)
		}
	}
	// Another set is not taken for it.
	if _, err := Compare(t.Context(), records[0], records[1], shuffled(t)); err == nil ||
		!strings.Contains(err.Error(), "these are other images") {
		t.Error(err)
	}
	records[0].test = dataset.Info{}
	if _, err := SameTest(records[0], records[1]); err == nil ||
		!strings.Contains(err.Error(), "other images") {
		t.Error(err)
	}
}

// Runs of a study that began with other weights differ in that, and in nothing by the name alone
// that the model's file has.
func TestTheWeightsThatRunsBeganWithAreASetting(t *testing.T) {
	dir := t.TempDir()
	model, err := onnx.Read("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	network, weights, err := convert.ToNetwork(model, "")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string) string {
		model, err := convert.FromNetwork(network, weights, onnx.TrainingRecord{}, convert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := model.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	one, again := write("a.onnx"), write("again.onnx")
	weights[0].Data[0]++
	other := write("b.onnx")
	runs := func(root, models string) (records []*Record) {
		path := filepath.Join(t.TempDir(), "begun.yaml")
		text := "data: t10k\ntest: t10k\nimages: 50\ntest_images: 50\nfixed: {epochs: 1}\ngrid: {from: [" + models + "]}\n"
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := study.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		results, err := study.Execute(t.Context(), file,
			study.Options{Root: root, Progress: study.NewReporter(io.Discard, false, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range results {
			records = append(records, read(t, result.Dir))
		}
		return records
	}
	both, renamed := runs(t.TempDir(), one+", "+other), runs(t.TempDir(), again)
	pairs, err := settingsThatDiffer(both[0], both[1])
	if err != nil {
		t.Fatal(err)
	}
	if len(pairs) != 2 || pairs[0] != (SettingPair{"from", one, other}) ||
		pairs[1].Name != "from_sha256" || len(pairs[1].First) != 64 || pairs[1].First == pairs[1].Second {
		t.Errorf("%+v", pairs)
	}
	if pairs, err := settingsThatDiffer(both[0], renamed[0]); err != nil || len(pairs) != 0 {
		t.Errorf("the same weights by another name: %+v, %v", pairs, err)
	}
}
