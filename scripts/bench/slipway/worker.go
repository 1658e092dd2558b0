package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"slipway/dataset"
	"slipway/train"
)

// command is a line of JSON on the worker's standard input. Every side's worker
// takes the same: train that many steps, go on where the last command ended.
type command struct {
	Steps int `json:"steps"`
	// Losses asks for the loss of each step.
	Losses bool `json:"losses"`
}

// answer is a line of JSON on its standard output. The first, before any
// command, says that the worker is ready.
type answer struct {
	Version string `json:"version,omitempty"`
	// ShuffleSeconds is how long it takes to draw an epoch's order.
	ShuffleSeconds float64 `json:"shuffle_seconds,omitempty"`
	Images         int     `json:"images,omitempty"`
	Seconds        float64 `json:"seconds"`
	// Trained counts the images of the steps: an epoch's last batch is short.
	Trained int       `json:"trained,omitempty"`
	Losses  []float64 `json:"losses,omitempty"`
	// Unavailable, in the first, says why this configuration does not train the network.
	Unavailable string `json:"unavailable,omitempty"`
}

// errDone ends the training when there are no more commands.
var errDone = errors.New("no more commands")

// work trains with the product's own trainer. So a step is all that it does in a
// step: the images' conversion from bytes, forward, loss, backward and the
// optimizer, and the counting of right answers.
func work(ctx context.Context, o options, in io.Reader, out io.Writer) error {
	runtime.GOMAXPROCS(o.threads)
	subject, network, err := newSubject(o.network)
	if err != nil {
		return err
	}
	set, err := openSet(ctx, network, subject.set == setNetworks)
	if err != nil {
		return err
	}
	trainer, err := train.New(network, set, train.Config{
		Data: set.Name, BatchSize: o.batch, Epochs: math.MaxInt32, Seed: o.seed, Engine: o.engine,
		Threads: o.threads, Precision: o.precision,
		Optimizer: subject.optimizer,
	}, nil)
	if err != nil {
		return err
	}
	defer trainer.Close()
	w := worker{commands: json.NewDecoder(bufio.NewReader(in)), answers: json.NewEncoder(out)}
	err = trainer.CheckSteps()
	if lacks := (*train.PrecisionError)(nil); errors.As(err, &lacks) {
		return w.answers.Encode(answer{Unavailable: lacks.Error()})
	}
	if err != nil {
		return err
	}
	w.ready, err = introduction(trainer, set, o)
	if err != nil {
		return err
	}
	if err := w.next(); err != nil {
		return ended(err)
	}
	stop, err := profile(o.profile)
	if err != nil {
		return err
	}
	defer stop()
	return ended(trainer.Fit(ctx, train.Callbacks{Step: w.step}))
}

// profile writes the CPU's profile of what comes until stop to a file; it does nothing where
// path is empty.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("CPU profile: %w", err), file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "slipway-bench: CPU profile:", err)
		}
	}, nil
}

func ended(err error) error {
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

func introduction(trainer *train.Trainer, set *dataset.Set, o options) (answer, error) {
	batches, err := dataset.NewBatches(set.Len(), o.batch, o.seed)
	if err != nil {
		return answer{}, err
	}
	shortest := math.Inf(1)
	for epoch := range 3 {
		began := time.Now()
		batches.Order(epoch)
		shortest = min(shortest, time.Since(began).Seconds())
	}
	return answer{Version: trainer.Engine().String(), ShuffleSeconds: shortest, Images: set.Len()}, nil
}

// worker lets the trainer run for as long as the command says.
type worker struct {
	commands *json.Decoder
	answers  *json.Encoder
	// ready is the next answer.
	ready   answer
	current command
	done    int
	began   time.Time
}

// next answers what is done and waits for the next command.
func (w *worker) next() error {
	if err := w.answers.Encode(w.ready); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	w.ready, w.done, w.current = answer{}, 0, command{}
	if err := w.commands.Decode(&w.current); errors.Is(err, io.EOF) {
		return errDone
	} else if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if w.current.Steps < 1 {
		return fmt.Errorf("command: %d steps; at least 1 is needed", w.current.Steps)
	}
	w.began = time.Now()
	return nil
}

func (w *worker) step(report train.StepReport) error {
	w.done++
	w.ready.Trained += report.Images
	if w.current.Losses {
		w.ready.Losses = append(w.ready.Losses, report.Loss)
	}
	if w.done < w.current.Steps {
		return nil
	}
	w.ready.Seconds = time.Since(w.began).Seconds()
	return w.next()
}
