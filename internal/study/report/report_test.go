package report

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/document"
	"slipway/internal/statistics"
	"slipway/internal/study"
	"slipway/train"
)

// trainStudy trains a small study for real: no dropout, dropout, and a learning rate
// at which nothing is learned, three seeds each, and one run that is planned only.
func trainStudy(t *testing.T) (dir string, test *dataset.Set) {
	t.Helper()
	dir = t.TempDir()
	all := datasettest.Digits(t, 1200)
	test, err := first(all, 300)
	if err != nil {
		t.Fatal(err)
	}
	indices := make([]int, 900)
	for i := range indices {
		indices[i] = 300 + i
	}
	training, err := all.Subset(indices)
	if err != nil {
		t.Fatal(err)
	}
	plan := study.Plan{Study: "small", Question: "Does dropout help a network as small as this?",
		Pool: "pool"}
	for _, setting := range []struct {
		name          string
		dropout, rate float64
	}{{"dropout=0", 0, 1e-3}, {"dropout=0.5", 0.5, 1e-3}, {"stuck", 0, 1e-9}} {
		for seed := range uint64(3) {
			id := fmt.Sprintf("%s-%d", setting.name, seed)
			plan.Runs = append(plan.Runs, study.PlannedRun{ID: id, Setting: setting.name, Seed: seed,
				Values: map[string]any{"dropout": setting.dropout}})
			trainRun(t, filepath.Join(dir, "pool", id), id, setting.dropout, setting.rate, seed, training,
				test)
		}
	}
	plan.Runs = append(plan.Runs, study.PlannedRun{ID: "unfinished", Setting: "stuck", Seed: 3})
	plan.Total = 12 // two more are not planned yet
	if err := plan.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir, test
}

func trainRun(t *testing.T, dir, id string, dropout, rate float64, seed uint64, training,
	test *dataset.Set) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	network, err := builder.New("small", builder.Shape{1, 28, 28},
		builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{},
		builder.Dense{Units: 32}, builder.ReLU{}, builder.Dropout{P: dropout}, builder.Dense{Units: 10})
	check(err)
	config := train.Config{Epochs: 4, Seed: seed, Threads: 1}
	config.Optimizer.LearningRate = rate
	trainer, err := train.New(network, training, config, nil)
	check(err)
	defer trainer.Close()
	check(trainer.Fit(t.Context(), train.Callbacks{Epoch: func(epoch *train.Epoch) error {
		evaluation, err := trainer.Evaluate(t.Context(), test)
		if err == nil {
			epoch.TestAccuracy = &evaluation.Accuracy
		}
		return err
	}}))
	own, err := trainer.Evaluate(t.Context(), training)
	check(err)
	tested, err := trainer.Evaluate(t.Context(), test)
	check(err)
	check(os.MkdirAll(dir, 0o777))
	logits, err := binary.Append(nil, binary.LittleEndian, tested.Logits)
	check(err)
	check(os.WriteFile(filepath.Join(dir, study.LogitsFile), logits, 0o666))
	check(train.WriteWeights(filepath.Join(dir, study.WeightsFile), trainer.Weights()))
	history := trainer.Progress().History
	result := study.Result{
		ID: id, Seed: seed, Network: network.Name(), Parameters: network.ParameterCount(),
		Config: trainer.Config(), Threads: 1, Stopped: "epochs",
		History: history, TrainAccuracy: own.Accuracy, TrainLoss: own.Loss, TestAccuracy: tested.Accuracy,
		TestLoss: tested.Loss,
		// No image is corrupted here: the accuracies stand in for those of two
		// corruptions, so that the figure has something to draw.
		Robustness: map[string][]float64{"shot-noise": {tested.Accuracy, own.Accuracy},
			"blur": {own.Accuracy, tested.Accuracy}},
		CPU: "the test's", Go: "go",
	}
	if seed == 0 {
		result.Robustness["rotate"] = []float64{0.5} // other runs lack it: it is in no mean
	}
	for _, epoch := range history {
		result.TrainSeconds += epoch.Seconds
	}
	check(result.Write(dir))
}

func TestReport(t *testing.T) {
	dir, test := trainStudy(t)
	s, err := Load(dir, test)
	if err != nil {
		t.Fatal(err)
	}
	files, err := s.Render()
	if err != nil {
		t.Fatal(err)
	}
	if out := os.Getenv("SLIPWAY_KEEP_REPORT"); out != "" {
		if err := s.Write(out); err != nil {
			t.Fatal(err)
		}
	}
	markdown, page := string(files[MarkdownFile]), string(files[HTMLFile])

	t.Run("same results, same bytes", func(t *testing.T) {
		again, err := Load(dir, test)
		if err != nil {
			t.Fatal(err)
		}
		other, err := again.Render()
		if err != nil {
			t.Fatal(err)
		}
		if len(other) != len(files) {
			t.Errorf("%d files, then %d", len(files), len(other))
		}
		for name, content := range files {
			if !bytes.Equal(content, other[name]) {
				t.Errorf("%s differs from one rendering to the next", name)
			}
		}
	})
	t.Run("every figure has its data", func(t *testing.T) {
		want := []string{"curves.svg", "accuracy.svg", "gap.svg", "comparisons.svg", "weights.svg",
			"calibration.svg", "confusion.svg", "robustness.svg", "time.svg", "hardest.png"}
		for _, picture := range want {
			name := strings.TrimSuffix(picture, filepath.Ext(picture))
			if len(files[picture]) == 0 || !strings.Contains(markdown, "]("+picture+")") ||
				!strings.Contains(markdown, "[data]("+name+".csv)") {
				t.Errorf("%s is missing, or not in %s", picture, MarkdownFile)
			}
			rows, err := csv.NewReader(bytes.NewReader(files[name+".csv"])).ReadAll()
			if err != nil || len(rows) < 2 {
				t.Errorf("%s.csv has %d rows (%v)", name, len(rows), err)
			}
		}
		for name := range files {
			known := slices.Contains(figureNames(), name) ||
				slices.Contains([]string{MarkdownFile, HTMLFile, RunsFile, SettingsFile, SummaryFile,
					historiesFile}, name)
			if !known {
				t.Errorf("%s is in no list: a later report would not remove it", name)
			}
		}
	})
	t.Run("the page needs nothing else", func(t *testing.T) {
		for _, link := range regexp.MustCompile(`(?:src|href)="([^"]{0,40})`).
			FindAllStringSubmatch(page, -1) {
			if !strings.HasPrefix(link[1], "data:") && !strings.HasPrefix(link[1], "#") {
				t.Errorf("the page links to %s", link[1])
			}
		}
		if pictures := strings.Count(page, "<svg") + strings.Count(page, "<img"); pictures != 10 {
			t.Errorf("%d pictures in the page, want 10", pictures)
		}
		if len(page) > 1<<20 {
			t.Errorf("the page has %d bytes", len(page))
		}
	})
	t.Run("the sentences are the numbers'", func(t *testing.T) { checkSentences(t, s, markdown) })
	t.Run("one row a run", func(t *testing.T) {
		rows, err := csv.NewReader(bytes.NewReader(files[RunsFile])).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		results, err := study.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != len(results)+1 {
			t.Fatalf("%d rows for %d runs", len(rows)-1, len(results))
		}
		column := slices.Index(rows[0], "test_accuracy")
		for i, result := range results {
			if x, err := strconv.ParseFloat(rows[i+1][column], 64); err != nil || x != result.TestAccuracy {
				t.Errorf("row %d says %q, the run %v (%v)", i, rows[i+1][column], result.TestAccuracy, err)
			}
		}
	})
	t.Run("an earlier report's figures go", func(t *testing.T) {
		out := t.TempDir()
		for _, name := range []string{"search.svg", "search.csv", "notes.txt"} {
			if err := os.WriteFile(filepath.Join(out, name), []byte("old"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Write(out); err != nil {
			t.Fatal(err)
		}
		var left []string
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			left = append(left, entry.Name())
		}
		want := append(slices.Collect(maps.Keys(files)), "notes.txt")
		slices.Sort(want)
		if !slices.Equal(left, want) {
			t.Errorf("the folder holds %v, want %v", left, want)
		}
	})
	t.Run("what not every run was evaluated under is left out", func(t *testing.T) {
		if strings.Contains(string(files["robustness.csv"]), "rotate") ||
			!strings.Contains(string(files["robustness.csv"]), "shot-noise") {
			t.Error("robustness.csv has a corruption that other runs lack, or not the one that all have")
		}
	})
	t.Run("one setting is compared with nothing", func(t *testing.T) {
		one := *s
		one.Settings = s.Settings[:1]
		files, err := one.Render()
		if err != nil {
			t.Fatal(err)
		}
		text := string(files[MarkdownFile])
		if strings.Contains(text, "## Comparison") || files[ComparisonsFile] != nil {
			t.Error("the report compares a setting with nothing")
		}
		values := []float64{}
		for _, run := range one.Settings[0].Runs {
			values = append(values, run.TestAccuracy)
		}
		findLine(t, text, "dropout=0, 3 seeds: test accuracy "+plusMinus(values, 100, 2, " %")+
			", after 4 epochs.")
	})
	t.Run("a search is headed by what it went by", func(t *testing.T) {
		single := *s
		single.Settings = nil
		losses := []float64{0.3, 0.1, 0.2}
		for i, setting := range s.Settings[:3] {
			run := setting.Runs[0]
			run.History = slices.Clone(run.History)
			run.History[len(run.History)-1].ValidationLoss = &losses[i]
			setting.Runs = []Run{run}
			single.Settings = append(single.Settings, setting)
		}
		want := "Lowest validation loss after training: " +
			s.Settings[1].Name + " (0.1000); its test accuracy, which chose nothing, is "
		if got := single.headline(nil); !strings.HasPrefix(got, want) {
			t.Errorf("headline %q, want %q …", got, want)
		}
	})
	t.Run("insights", func(t *testing.T) { checkInsights(t, s) })
	t.Run("what is wrong with the runs", func(t *testing.T) { checkLoadErrors(t, dir, test) })
}

// checkSentences computes what the text states again, from the results alone.
func checkSentences(t *testing.T, s *Study, markdown string) {
	accuracies := make([][]float64, 3)
	for i, setting := range s.Settings {
		for _, run := range setting.Runs {
			accuracies[i] = append(accuracies[i], run.TestAccuracy)
		}
	}
	for _, want := range []string{
		"3 settings, 3 seeds, 9 finished runs, tested on 300 images.",
		"The study is not finished: of the 12 runs of its plan 3 are missing.",
		"Does dropout help a network as small as this?",
	} {
		if !strings.Contains(markdown, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	// What learns nothing is far below what learns: no test can miss that.
	for i, name := range []string{"", "dropout=0.5", "stuck"} {
		if i == 0 {
			continue
		}
		test, err := statistics.PairedT(accuracies[i], accuracies[0], 0.95)
		if err != nil {
			t.Fatal(err)
		}
		line := findLine(t, markdown, "- "+name+" against dropout=0: test accuracy ")
		difference := fmt.Sprintf("%.2f points", 100*math.Abs(test.Difference))
		if !strings.Contains(line, difference) || !strings.Contains(line, pValue(test.P)) {
			t.Errorf("%q has not %s and %s", line, difference, pValue(test.P))
		}
		means := fmt.Sprintf("%.2f ± %.2f %%", 100*statistics.Mean(accuracies[i]),
			100*statistics.StandardDeviation(accuracies[i]))
		if row := findLine(t, markdown, "| "+name+" | 3 | 4 |"); !strings.Contains(row, means) {
			t.Errorf("%q has not the mean %s", row, means)
		}
	}
	stuck := findLine(t, markdown, "- stuck against dropout=0: test accuracy ")
	if !strings.Contains(stuck, ": lower.") {
		t.Errorf("a network that learns nothing is not lower: %q", stuck)
	}
	if headline := findLine(t, markdown,
		"In test accuracy, of 2 settings compared with dropout=0:"); !regexp.MustCompile(
		`[12] lower \([^)]*stuck`).MatchString(headline) {
		t.Errorf("the headline is %q", headline)
	}
}

func findLine(t *testing.T, text, start string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, start) {
			return line
		}
	}
	t.Errorf("no line starts with %q", start)
	return ""
}

func checkLoadErrors(t *testing.T, dir string, test *dataset.Set) {
	other, err := datasettest.Digits(t, 700).Subset(func() (indices []int) {
		for i := range 300 {
			indices = append(indices, 400+i)
		}
		return indices
	}())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, other); err == nil || !strings.Contains(err.Error(), "-test") {
		t.Errorf("another test set: %v", err)
	}
	if _, err := Load(t.TempDir(), test); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder without a plan: %v", err)
	}
	logits := filepath.Join(dir, "pool", "stuck-2", study.LogitsFile)
	whole, err := os.ReadFile(logits)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string][]byte{"cut in a number": whole[:len(whole)-1],
		"cut in a row": whole[:len(whole)-4], "empty": {}} {
		if err := os.WriteFile(logits, damage, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, test); err == nil || !strings.Contains(err.Error(), logits) {
			t.Errorf("answers %s: %v", name, err)
		}
	}
	if err := os.Remove(logits); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, test); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the answers: %v", err)
	}
	// A run that diverged has no answers, and needs none; nor does one whose weights
	// turned out to give no number after the last epoch.
	result, err := study.ReadResult(filepath.Dir(logits))
	if err != nil {
		t.Fatal(err)
	}
	var s *Study
	result.TestLoss = math.NaN()
	for _, stopped := range []string{"epochs", "diverged: the loss is NaN"} {
		result.Stopped = stopped
		if err := result.Write(filepath.Dir(logits)); err != nil {
			t.Fatal(err)
		}
		if s, err = Load(dir, test); err != nil {
			t.Fatal(err)
		}
		if stuck := s.Settings[2]; len(stuck.Runs) != 2 || len(stuck.Failed) != 1 {
			t.Errorf("%s: %d runs, %d failed", stopped, len(stuck.Runs), len(stuck.Failed))
		}
	}
	files, err := s.Render()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(files[MarkdownFile]); !strings.Contains(text,
		"Beside them 1 run diverged or was pruned, in no mean.") {
		t.Error("the report does not say that a run diverged")
	}
	empty := t.TempDir()
	if err := (study.Plan{Study: "empty", Pool: ".",
		Runs: []study.PlannedRun{{ID: "a", Setting: "a"}}}).Write(empty); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(empty, test); !errors.Is(err, ErrNoRuns) {
		t.Errorf("no finished run: %v", err)
	}
}

// A setting compared with itself under another name differs in nothing.
func TestEqualSettingsAreNotDistinguishable(t *testing.T) {
	runs := []Run{}
	for seed := range uint64(3) {
		run := Run{Correct: []bool{true, seed > 0, true}}
		run.Seed, run.TestAccuracy, run.TrainAccuracy = seed, 0.5+float64(seed)/10, 0.9
		runs = append(runs, run)
	}
	comparisons, err := compare([]Setting{{Name: "one", Runs: runs}, {Name: "same", Runs: runs}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range comparisons {
		if c.verdict() != "not distinguishable" || c.test.P != 1 || c.test.Difference != 0 {
			t.Errorf("%s: %s, p = %v", c.metric.key, c.verdict(), c.test.P)
		}
	}
	if text := comparisons[0].sentence(1) + " " +
		comparisons[0].imagesSentence(); !strings.Contains(text, "test accuracy ±0.00 points") ||
		!strings.Contains(text, "tells 0 of 3 pairs") {
		t.Error(text)
	}
}

// Settings of two seeds are not tested, and take no part in the correction of the
// others' p-values; the headline says so.
func TestTwoSeedsCompareNothing(t *testing.T) {
	setting := func(name string, accuracies ...float64) Setting {
		s := Setting{Name: name}
		for seed, accuracy := range accuracies {
			run := Run{Correct: []bool{true, false}}
			run.Seed, run.TestAccuracy = uint64(seed), accuracy
			s.Runs = append(s.Runs, run)
		}
		return s
	}
	settings := []Setting{setting("reference", 0.9, 0.91, 0.92, 0.9), setting("two", 0.5, 0.52),
		setting("three", 0.6, 0.6, 0.63)}
	comparisons, err := compare(settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range comparisons {
		if c.setting != "three" || c.adjusted != c.test.P {
			t.Errorf("%s of %q is compared, with p = %v corrected to %v", c.metric.key, c.setting, c.test.P,
				c.adjusted)
		}
	}
	s := &Study{Settings: settings}
	if text := s.headline(comparisons); !strings.HasSuffix(text,
		"1 lower (three), 0 not distinguishable; 1 setting with fewer than 3 seeds not compared.") {
		t.Error(text)
	}
	s.Settings = settings[:2]
	if comparisons, err = compare(s.Settings); err != nil || len(comparisons) != 0 {
		t.Errorf("%d comparisons, %v", len(comparisons), err)
	}
	if text := s.headline(nil); !strings.Contains(text, "With so few runs a setting") {
		t.Error(text)
	}
}

func TestNumbersAsText(t *testing.T) {
	for got, want := range map[string]string{
		percent(0.98575): "98.58 %", signed(-0.004, 2): "±0.00", signed(-0.126, 2): "−0.13",
		signed(0.5, 1):  "+0.5",
		pValue(0.04999): "p = 0.050", pValue(0.00042): "p = 0.0004", pValue(1e-9): "p < 0.0001", pValue(
			1): "p = 1",
		count(1, "pair"): "1 pair", count(0, "run"): "0 runs",
		document.EscapeMarkdown("a|b_c*<d>"): `a\|b\_c\*&lt;d>`,
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
