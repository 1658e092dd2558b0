// Command study evaluates the exported graph of every finished run of a study on
// the corruptions of the test set and on unseen data, in onnxruntime, into a CSV: a
// row a run, data set, corruption and strength. What the CSV has of the
// study's runs already is kept.
//
//	go run ./scripts/robustness/study -study runs/studies/e1-e2 -o experiments/e1-e2/robustness-runs.csv
//
// Where the study has asked the trainer for the same corruptions, it says how far
// the two are from each other.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/study"
)

// together is the number of runs that are evaluated side by side, so that each
// damaged set is made once for all of them. The CSV is written after each group.
const together = 5

// errUsage is of a wrong command line, which the exit status tells from a failure.
var errUsage = errors.New("-study and -o are needed, and -unseen is possible")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "robustness study:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir := flag.String("study", "", "`folder` of the study, such as runs/studies/e1-e2")
	path := flag.String("o", "", "CSV `file` to write, and to go on with")
	unseen := flag.String("unseen", "optdigits,fashion",
		"`SET,…`: data that the runs never saw; empty for none")
	flag.Parse()
	if *dir == "" || *path == "" || flag.NArg() > 0 {
		return errUsage
	}
	results, err := study.Read(*dir)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return fmt.Errorf("%s has no finished run", *dir)
	}
	test, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
	if err != nil {
		return err
	}
	var sets []*dataset.Set
	if *unseen != "" {
		for name := range strings.SplitSeq(*unseen, ",") {
			set, err := dataset.Open(ctx, name, dataset.Options{})
			if err != nil {
				return fmt.Errorf("-unseen: %w", err)
			}
			sets = append(sets, set)
		}
	}
	t, err := readTable(*path)
	if err != nil {
		return err
	}
	var todo []study.Result
	for _, result := range results {
		if !t.has(result, sets) {
			todo = append(todo, result)
		}
	}
	for begin := 0; begin < len(todo); begin += together {
		group := todo[begin:min(begin+together, len(todo))]
		if err := t.measure(ctx, group, test, sets); err != nil {
			return err
		}
		if err := t.write(*path, results, sets); err != nil {
			return err
		}
		fmt.Printf("%d of %d runs are in %s\n", len(results)-len(todo)+begin+len(group), len(results),
			*path)
	}
	return t.compare(results)
}

// measure adds the rows of a group of runs.
func (t *table) measure(ctx context.Context, group []study.Result, test *dataset.Set,
	sets []*dataset.Set) (err error) {
	var subjects []infer.Subject
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.Runtime.Close())
		}
	}()
	for _, result := range group {
		subject, err := open(ctx, filepath.Join(result.Dir, study.ModelFile))
		if err != nil {
			return err
		}
		subjects = append(subjects, subject)
	}
	measured, err := infer.MeasureRobustness(ctx, subjects, test, infer.RobustnessOptions{})
	if err != nil {
		return err
	}
	others, err := infer.MeasureUnseen(ctx, subjects, sets, infer.RobustnessOptions{})
	if err != nil {
		return err
	}
	for i, result := range group {
		t.add(result, test.Name, "", 0, measured[i].Clean)
		for _, c := range measured[i].Corruptions {
			for s, confidence := range c.Strengths {
				t.add(result, test.Name, c.Name, s+1, confidence)
			}
		}
		for s, set := range sets {
			t.add(result, set.Name, "", 0, others[i][s])
		}
	}
	return nil
}

// open opens a run's graph; pixels are fed as its record says.
func open(ctx context.Context, path string) (infer.Subject, error) {
	model, err := infer.LoadModel(path)
	if err != nil {
		return infer.Subject{}, err
	}
	var subject infer.Subject
	if subject.Pixels, err = infer.PixelsOfModel(model); err != nil {
		return infer.Subject{}, fmt.Errorf("%s: %w", path, err)
	}
	subject.Scale = infer.ScaleOf(model, "")
	subject.Runtime, err = infer.OpenONNXRuntime(ctx, model,
		infer.ONNXRuntimeOptions{Device: infer.DeviceCPU})
	return subject, err
}

// compare prints how far onnxruntime's accuracies are from the trainer's.
func (t *table) compare(results []study.Result) error {
	compared, differ, furthest := 0, 0, 0.
	for _, result := range results {
		for name, accuracies := range result.Robustness {
			for s, accuracy := range accuracies {
				row, ok := t.find(result, string(dataset.Test), name, s+1)
				if !ok {
					continue
				}
				d := math.Abs(row.accuracy - accuracy)
				if compared++; d > 1e-9 {
					differ++
				}
				furthest = max(furthest, d)
			}
		}
	}
	if compared > 0 {
		fmt.Printf(
			"of %d accuracies that the trainer has measured, too, %d differ, by at most %.4g points\n",
			compared, differ, 100*furthest)
	}
	return nil
}
