package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	rowE1 = "E1 trained on the GPU and on the CPU"
	rowE2 = "E2 trained on the GPU and on the CPU"
)

// epochRecord is a line of a run's history.json.
type epochRecord struct {
	MeanLoss     float64  `json:"mean_loss"`
	TestAccuracy *float64 `json:"test_accuracy"`
	Seconds      float64  `json:"seconds"`
}

func (e epochRecord) String() string {
	return fmt.Sprintf("mean loss %.4f, test accuracy %.2f %%, %.2f s the last epoch",
		e.MeanLoss, 100**e.TestAccuracy, e.Seconds)
}

// checkTraining trains E1 and E2 on the GPU and on the CPU, from one seed.
func checkTraining(ctx context.Context, c *checker) {
	for _, experiment := range []string{"e1", "e2"} {
		row := map[string]string{"e1": rowE1, "e2": rowE2}[experiment]
		if !c.needsGPU(row) {
			continue
		}
		gpu, err := c.trainOn(ctx, experiment, "cuda")
		if err != nil {
			c.add(row, failed, "GPU: "+err.Error())
			continue
		}
		c.add(row, passed, fmt.Sprintf("GPU: %v; CPU: not measured yet", gpu))
		cpu, err := c.trainOn(ctx, experiment, "cpu")
		if err != nil {
			c.add(row, failed, fmt.Sprintf("GPU: %v; CPU: %v", gpu, err))
			continue
		}
		// Two runs whose sums are rounded in another order part after some hundred steps; both
		// learn. One run's accuracy has a spread of about 0.2 points.
		verdict := passed
		if math.Abs(*gpu.TestAccuracy-*cpu.TestAccuracy) > 0.01 ||
			math.Abs(gpu.MeanLoss-cpu.MeanLoss) > 0.1*cpu.MeanLoss+0.02 {
			verdict = failed
		}
		c.add(row, verdict, fmt.Sprintf("%d epochs; GPU: %v; CPU: %v", c.epochs, gpu, cpu))
	}
}

// trainOn returns the last epoch of a run. One that was cut off is told with what it came to.
func (c *checker) trainOn(ctx context.Context, experiment, device string) (epochRecord, error) {
	name := experiment + "-" + device
	r := c.run(ctx, observed{part: "training"}, "bin/train", "-experiment", experiment, "-device",
		device, "-name", name, "-runs", filepath.Join(c.scratch, "runs"), "-data-dir",
		filepath.Join(c.folder, "data"), "-epochs", strconv.Itoa(c.epochs))
	data, err := os.ReadFile(filepath.Join(c.scratch, "runs", name, "history.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return epochRecord{}, err
	}
	var history []epochRecord
	if err == nil {
		if err := json.Unmarshal(data, &history); err != nil {
			return epochRecord{}, fmt.Errorf("history of %s: %w", name, err)
		}
	}
	if r.err != nil {
		var came []string
		for i, epoch := range history {
			came = append(came, fmt.Sprintf("epoch %d: mean loss %.4f, %.2f s", i+1, epoch.MeanLoss,
				epoch.Seconds))
		}
		return epochRecord{}, fmt.Errorf("train -device %s: %s %s", device, r.reason(),
			strings.Join(came, "; "))
	}
	if len(history) == 0 || history[len(history)-1].TestAccuracy == nil {
		return epochRecord{}, fmt.Errorf("history of %s has no test accuracy", name)
	}
	return history[len(history)-1], nil
}
