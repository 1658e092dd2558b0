package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"slipway/dataset"
	"slipway/internal/safetensors"
	"slipway/internal/statistics"
	"slipway/internal/study"
	"slipway/train"
)

// Study is a study's finished runs, with what they answered on the test set.
type Study struct {
	Plan study.Plan
	// Test is the set that the runs were tested on.
	Test *dataset.Set
	// Settings are in the order of the plan. The first is what the others are
	// compared with.
	Settings []Setting
	// Missing is the number of runs, planned by now or to be planned, that are not finished.
	Missing int
}

// Setting is what the runs from several seeds have in common.
type Setting struct {
	Name string
	// Runs trained to their end, in the order of their seeds.
	Runs []Run
	// Failed runs diverged or were pruned: they are listed, and count in no mean.
	Failed []Run
}

// Run is one run with what it answered.
type Run struct {
	study.Result
	Scores  statistics.Scores
	Correct []bool
	// Bins are those of the reliability diagram.
	Bins                    []statistics.Bin
	CalibrationError, Brier float64
	Weights                 Weights
	unseen                  []unseen
}

// ErrNoRuns is wrapped by Load where a study has no finished run.
var ErrNoRuns = errors.New("no run is finished")

// Load reads the study in the folder. The runs' answers must be those on the first
// images of the test set, as many as there are answers; accuracies that differ from
// the runs' own are an error.
func Load(dir string, test *dataset.Set) (*Study, error) {
	plan, err := study.ReadPlan(dir)
	if err != nil {
		return nil, err
	}
	results, err := study.Read(dir)
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s: %w; experiment run trains them", dir, ErrNoRuns)
	}
	if known := plan.Test.SHA256; known != "" && test.Digest() != known {
		return nil, fmt.Errorf(
			"the study was tested on %s with the sha256 %s, %s has %s; name the place of the former with -test",
			plan.Test.Name, known, test.Name, test.Digest())
	}
	s := &Study{Plan: plan, Missing: plan.Size() - len(results)}
	for _, result := range results {
		i := slices.IndexFunc(s.Settings, func(setting Setting) bool {
			return setting.Name == result.Setting
		})
		if i < 0 {
			i = len(s.Settings)
			s.Settings = append(s.Settings, Setting{Name: result.Setting})
		}
		setting := &s.Settings[i]
		if !trainedToTheEnd(result) {
			setting.Failed = append(setting.Failed, Run{Result: result})
			continue
		}
		run, err := loadRun(result, test)
		if err != nil {
			return nil, err
		}
		if s.Test == nil {
			if s.Test, err = first(test, run.Scores.Len()); err != nil {
				return nil, err
			}
		}
		if run.Scores.Len() != s.Test.Len() {
			return nil, fmt.Errorf("run %s answers %d images, others of the study %d; run the study again",
				result.Dir, run.Scores.Len(), s.Test.Len())
		}
		setting.Runs = append(setting.Runs, run)
	}
	if s.Test == nil {
		return nil, fmt.Errorf("%s: %w: all %d diverged or were pruned", dir, ErrNoRuns, len(results))
	}
	s.keepCommonCorruptions()
	return s, nil
}

// keepCommonCorruptions drops what not every run was evaluated under: means over
// different corruptions compare nothing.
func (s *Study) keepCommonCorruptions() {
	evaluated, runs := make(map[string]int), 0
	for _, setting := range s.Settings {
		for _, run := range setting.Runs {
			runs++
			for name := range run.Robustness {
				evaluated[name]++
			}
		}
	}
	for _, setting := range s.Settings {
		for _, run := range setting.Runs {
			maps.DeleteFunc(run.Robustness, func(name string, _ []float64) bool {
				return evaluated[name] < runs
			})
		}
	}
}

// trainedToTheEnd is false of a run that diverged, by its record or because its final
// weights give no number, and of one that was pruned.
func trainedToTheEnd(result study.Result) bool {
	return !math.IsNaN(result.TestLoss) && !strings.HasPrefix(result.Stopped, "diverged") &&
		!strings.HasPrefix(result.Stopped, "pruned")
}

func first(set *dataset.Set, n int) (*dataset.Set, error) {
	if n == set.Len() {
		return set, nil
	}
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return set.Subset(indices)
}

func loadRun(result study.Result, test *dataset.Set) (Run, error) {
	run := Run{Result: result}
	for name := range result.Files {
		if name == study.LogitsFile {
			continue // compared where they are read, below
		}
		if _, err := result.ReadFile(name); err != nil {
			return run, err
		}
	}
	logits, err := readLogits(result)
	if err != nil {
		return run, err
	}
	classes := result.Classes
	if classes == 0 { // a result of before it was kept
		classes = test.Classes
	}
	images := len(logits) / classes
	if images == 0 || len(logits)%classes != 0 || images > test.Len() || classes < test.Classes {
		return run, fmt.Errorf(
			"%s holds %d logits, which are no answers of %d classes on %s (%d images); name the study's test set with -test",
			filepath.Join(result.Dir, study.LogitsFile), len(logits), classes, test.Name, test.Len())
	}
	labels := make([]int, images)
	for i := range labels {
		labels[i] = test.Label(i)
	}
	newScores := statistics.NewScores
	if result.Config.Loss.Name == train.LossBinary {
		newScores = statistics.NewIndependentScores
	}
	if run.Scores, err = newScores(logits, classes, labels); err != nil {
		return run, fmt.Errorf("run %s: %w", result.Dir, err)
	}
	run.Correct = run.Scores.Correct()
	if accuracy := float64(rightOf(run)) / float64(images); math.Abs(
		accuracy-result.TestAccuracy) > 1e-9 {
		return run, fmt.Errorf(
			"run %s says that its test accuracy is %v, its answers on the first %d images of %s give %v; name the study's test set with -test",
			result.Dir, result.TestAccuracy, images, test.Name, accuracy)
	}
	if run.Bins, err = run.Scores.Reliability(bins); err != nil {
		return run, err
	}
	run.CalibrationError, run.Brier = statistics.CalibrationError(run.Bins), run.Scores.Brier()
	file, err := safetensors.Read(filepath.Join(result.Dir, study.WeightsFile))
	if err != nil {
		return run, fmt.Errorf("read weights: %w", err)
	}
	run.Weights, err = countWeights(file)
	if err != nil {
		return run, fmt.Errorf("weights of run %s: %w", result.Dir, err)
	}
	return run, nil
}

func readLogits(result study.Result) ([]float32, error) {
	raw, err := result.ReadFile(study.LogitsFile)
	if err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	if len(raw)%4 != 0 {
		return nil, fmt.Errorf(
			"%s: %d bytes are no whole number of float32; remove the run's folder, and run the study again",
			filepath.Join(result.Dir, study.LogitsFile), len(raw))
	}
	logits := make([]float32, len(raw)/4)
	for i := range logits {
		logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return logits, nil
}

// compared returns the settings that have a run, in their order.
func (s *Study) compared() []Setting {
	return slices.DeleteFunc(slices.Clone(s.Settings), func(setting Setting) bool {
		return len(setting.Runs) == 0
	})
}
