package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/train"
)

// memoryClasses is the number of classes of the network that is measured, as of ImageNet.
const memoryClasses = 1000

// memoryReport is what a process held at most, in bytes: before it made the network, and after its
// steps.
type memoryReport struct {
	Before uint64  `json:"before"`
	Peak   uint64  `json:"peak"`
	Loss   float64 `json:"loss"`
}

// memory trains a known network for some steps on images of noise and writes what the process held
// at most.
func memory(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("slipway-bench memory", flag.ContinueOnError)
	network := flags.String("network", "resnet18", "one of the zoo's")
	size := flags.Int("size", 224, "height and width of the images")
	batch := flags.Int("batch", 16, "images a step")
	steps := flags.Int("steps", 1, "steps")
	threads := flags.Int("threads", 1, "threads to compute on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	debug.SetGCPercent(25) // as the command train does
	var report memoryReport
	var err error
	if report.Before, err = peakMemory(); err != nil {
		return err
	}
	net, err := zoo.New(*network, builder.Shape{3, *size, *size}, memoryClasses)
	if err != nil {
		return err
	}
	images := *batch * *steps
	set := &dataset.Set{Name: "noise", Channels: 3, Height: *size, Width: *size,
		Classes: memoryClasses, Labels: make([]int32, images)}
	set.Images = make([]byte, images*3**size**size)
	for i := range set.Images {
		set.Images[i] = byte(i * 2654435761 >> 7)
	}
	for i := range set.Labels {
		set.Labels[i] = int32(i % memoryClasses)
	}
	trainer, err := train.New(net, set, train.Config{
		BatchSize: *batch, Epochs: 1, Threads: *threads, Pixels: train.PixelsHalf,
		Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 1e-3, Momentum: 0.9},
	}, nil)
	if err != nil {
		return err
	}
	defer trainer.Close()
	if err := trainer.Fit(ctx, train.Callbacks{}); err != nil {
		return err
	}
	report.Loss = trainer.Progress().LastLoss
	if report.Peak, err = peakMemory(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(report)
}

// peakMemory is the most that the process held so far, as Linux counts it (VmHWM).
func peakMemory() (uint64, error) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("memory is measured on Linux alone: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmHWM")
}
