// Command recipe trains one seed of a study with one setting, and says how long that
// took: Slipway's side of scripts/experiments/make-recipe.
//
//	recipe -study experiments/recipe.yaml -describe            # the network and the configuration, as JSON
//	recipe -study experiments/recipe.yaml -seed 3 -threads 2   # train and evaluate, results as JSON
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/study"
	"slipway/train"
)

func main() {
	path := flag.String("study", "experiments/recipe.yaml", "the study's `file`")
	describe := flag.Bool("describe", false, "say what the recipe is, and train nothing")
	seed := flag.Uint64("seed", 0, "seed of the run")
	threads := flag.Int("threads", 0, "threads to compute with; 0 for one each core")
	flag.Parse()
	debug.SetGCPercent(25) // as train has it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *path, *describe, *seed, *threads)
	stop()
	if err != nil {
		os.Exit(cli.Fail(os.Stderr, "recipe", err))
	}
}

// description is what the peer needs to do the same.
type description struct {
	Network    *builder.Network `json:"network"`
	Parameters int              `json:"parameters"`
	Config     train.Config     `json:"config"`
}

// outcome is what both sides print of a run.
type outcome struct {
	System  string `json:"system"`
	Version string `json:"version"`
	Seed    uint64 `json:"seed"`
	// Seconds are those of the training steps, feeding included.
	Seconds      float64 `json:"seconds"`
	TestAccuracy float64 `json:"test_accuracy"`
	MeanLoss     float64 `json:"mean_loss"` // of the last epoch
}

func run(ctx context.Context, path string, describe bool, seed uint64, threads int) error {
	file, err := study.ReadFile(path)
	if err != nil {
		return err
	}
	runs, err := file.Runs()
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Setting != runs[0].Setting {
			return fmt.Errorf("%s: has the settings %s and %s; a recipe is one", path, runs[0].Setting,
				r.Setting)
		}
	}
	network, config := runs[0].Spec.Network, runs[0].Spec.Config
	if describe {
		return say(description{network, network.ParameterCount(), config})
	}
	set, err := dataset.Open(ctx, file.Data, dataset.Options{Part: dataset.Train, Messages: os.Stderr})
	if err != nil {
		return err
	}
	test, err := dataset.Open(ctx, file.Test, dataset.Options{Part: dataset.Test})
	if err != nil {
		return err
	}
	config.Seed, config.Threads = seed, threads
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		return err
	}
	defer trainer.Close()
	if err := trainer.Fit(ctx, train.Callbacks{}); err != nil {
		return err
	}
	evaluation, err := trainer.Evaluate(ctx, test)
	if err != nil {
		return err
	}
	o := outcome{System: "Slipway", Version: cli.ModuleVersion, Seed: seed,
		TestAccuracy: evaluation.Accuracy}
	for _, epoch := range trainer.Progress().History {
		o.Seconds += epoch.Seconds
		o.MeanLoss = epoch.MeanLoss
	}
	return say(o)
}

// say prints the value as a line of JSON.
func say(value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s\n", raw)
	return err
}
