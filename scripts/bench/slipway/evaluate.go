package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/infer/native"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// evaluateOptions is what a worker evaluates.
type evaluateOptions struct {
	model, input, shape, kernels, profile string
	threads                               int
	direct                                bool
}

// evaluateCommand is a line of JSON on the worker's standard input: answer the
// batch that many times.
type evaluateCommand struct {
	Runs int `json:"runs"`
	// Scores asks for the answers of the last run.
	Scores bool `json:"scores"`
}

// evaluateAnswer is a line of JSON on its standard output. The first, before any
// command, says that the worker is ready.
type evaluateAnswer struct {
	Version string    `json:"version,omitempty"`
	Seconds []float64 `json:"seconds,omitempty"` // of each run
	// CPUSeconds is what the process's threads computed in all of them; 0 where the system does
	// not tell.
	CPUSeconds float64   `json:"cpu_seconds,omitempty"`
	Scores     []float32 `json:"scores,omitempty"`
}

// evaluate answers a batch in the native runtime as often as it is told, and says how
// long each time took.
func evaluate(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var o evaluateOptions
	flags := flag.NewFlagSet("slipway-bench evaluate", flag.ContinueOnError)
	flags.StringVar(&o.model, "model", "", "ONNX `file`")
	flags.StringVar(&o.input, "input", "", "`file` of the batch, float32, little-endian")
	flags.StringVar(&o.shape, "shape", "", "the batch's shape, such as 1,3,224,224")
	flags.StringVar(&o.kernels, "kernels", "", "kernel set; empty for the preferred one")
	flags.StringVar(&o.profile, "profile", "", "`file` for a CPU profile of the runs")
	flags.BoolVar(&o.direct, "direct", false, "sum convolutions as they are written")
	flags.IntVar(&o.threads, "threads", 1, "threads to compute on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.model == "" || o.input == "" || o.threads < 1 || flags.NArg() > 0 {
		return errors.New(
			"evaluate: give -model, -input, -shape, at least one of -threads, and flags alone")
	}
	runtime.GOMAXPROCS(o.threads)
	batch, err := readBatch(o.input, o.shape)
	if err != nil {
		return err
	}
	model, err := onnx.Read(o.model)
	if err != nil {
		return err
	}
	evaluator, err := native.New(ctx, model, native.Options{Threads: o.threads, Kernels: o.kernels,
		Direct: o.direct})
	if err != nil {
		return err
	}
	defer evaluator.Close()
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	return answerRuns(ctx, evaluator, batch, in, out)
}

// answerRuns does what the commands say until there are no more.
func answerRuns(ctx context.Context, evaluator *native.Evaluator, batch *native.Tensor,
	in io.Reader, out io.Writer) error {
	commands, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	inputs := map[string]*native.Tensor{evaluator.Inputs()[0].Name: batch}
	ready := evaluateAnswer{Version: "native, " + evaluator.Kernels()}
	for {
		if err := answers.Encode(ready); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		var c evaluateCommand
		if err := commands.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("command: %w", err)
		}
		ready = evaluateAnswer{CPUSeconds: -cpuSeconds()}
		for range c.Runs {
			began := time.Now()
			outputs, err := evaluator.Run(ctx, inputs)
			if err != nil {
				return err
			}
			ready.Seconds = append(ready.Seconds, time.Since(began).Seconds())
			if scores, ok := outputs[0].Data.([]float32); ok && c.Scores {
				ready.Scores = scores
			}
		}
		ready.CPUSeconds += cpuSeconds()
	}
}

// readBatch reads a batch of float32 of that shape.
func readBatch(path, shape string) (*native.Tensor, error) {
	t, elements := &native.Tensor{}, 1
	for _, field := range strings.Split(shape, ",") {
		var size int
		if _, err := fmt.Sscan(field, &size); err != nil || size < 1 {
			return nil, fmt.Errorf("-shape %q: sizes from 1 on are needed, between commas", shape)
		}
		t.Shape = append(t.Shape, size)
		elements *= size
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the batch: %w", err)
	}
	if len(raw) != 4*elements {
		return nil, fmt.Errorf("%s has %d bytes; a batch of %s has %d", path, len(raw), shape, 4*elements)
	}
	values := make([]float32, elements)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	t.Data = values
	return t, nil
}

// writeGraph writes a network of the zoo with its first weights as a graph for
// images of 3×224×224 and 1000 classes.
func writeGraph(name, path string) error {
	network, err := zoo.New(name, builder.Shape{3, 224, 224}, 1000)
	if err != nil {
		return err
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), onnx.TrainingRecord{},
		convert.Options{})
	if err != nil {
		return err
	}
	return model.Write(path)
}
