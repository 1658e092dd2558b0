package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"slipway/builder"
	"slipway/dataset"
	"slipway/train"
)

// accuracyResult is one run of E1. The peers' scripts write the same.
type accuracyResult struct {
	System       string    `json:"system"`
	Version      string    `json:"version"`
	Seed         uint64    `json:"seed"`
	Epochs       int       `json:"epochs"`
	TestCorrect  int       `json:"test_correct"`
	TestAccuracy float64   `json:"test_accuracy"`
	MeanLosses   []float64 `json:"mean_losses"`
	Seconds      float64   `json:"seconds"`
}

// accuracy trains E1 by the experiment's protocol, and tests it.
func accuracy(ctx context.Context, o options) error {
	if o.output == "" {
		return errors.New("accuracy: -o is missing")
	}
	runtime.GOMAXPROCS(o.threads)
	network, err := builder.E1(10)
	if err != nil {
		return err
	}
	set, err := openSet(ctx, network, false)
	if err != nil {
		return err
	}
	test, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
	if err != nil {
		return err
	}
	trainer, err := train.New(network, set, train.Config{
		Data: set.Name, Epochs: o.epochs, Seed: o.seed, Engine: o.engine, Threads: o.threads,
	}, nil)
	if err != nil {
		return err
	}
	defer trainer.Close()
	result := accuracyResult{System: "Slipway", Version: trainer.Engine().
		String(), Seed: o.seed, Epochs: o.epochs}
	began := time.Now()
	err = trainer.Fit(ctx, train.Callbacks{Epoch: func(epoch *train.Epoch) error {
		result.MeanLosses = append(result.MeanLosses, epoch.MeanLoss)
		_, err := fmt.Fprintf(os.Stderr, "Slipway, seed %d: epoch %d of %d, mean loss %.4f, %.1f s\n",
			o.seed, epoch.Epoch, o.epochs, epoch.MeanLoss, epoch.Seconds)
		return err
	}})
	if err != nil {
		return err
	}
	result.Seconds = time.Since(began).Seconds()
	evaluation, err := trainer.Evaluate(ctx, test)
	if err != nil {
		return err
	}
	result.TestCorrect, result.TestAccuracy = evaluation.Correct, evaluation.Accuracy
	return writeJSON(o.output, result)
}
