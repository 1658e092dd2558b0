package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/dataset/picture"
	"slipway/internal/cli"
	"slipway/internal/kernel"
)

// feedAtOnce is how many images a thread takes of a batch, as in training.
const feedAtOnce = 2

// feedOptions is what is read, and how.
type feedOptions struct {
	data, augment, memory, cache   string
	values                         bool
	resize, batch, threads, epochs int
	seed                           uint64
}

// fedEpoch is a line of JSON on the standard output: what an epoch took.
type fedEpoch struct {
	Epoch   int     `json:"epoch"`
	Images  int     `json:"images"`
	Seconds float64 `json:"seconds"`
	// CPUSeconds is what the process's threads computed meanwhile; 0 where the system does
	// not tell.
	CPUSeconds float64 `json:"cpu_seconds"`
	// OpenSeconds is what opening the set took, of the first epoch alone. Each file is read
	// and decoded once then.
	OpenSeconds float64 `json:"open_seconds"`
	// PeakMegabytes is the resident set's high-water mark so far, in MB of 1,000,000 bytes;
	// 0 where the system does not tell.
	PeakMegabytes float64 `json:"peak_megabytes"`
}

// feed reads a set as training does, and trains on nothing: epoch after epoch in shuffled
// batches, two images at a time on each thread, a batch whole before the next begins.
func feed(ctx context.Context, args []string, out io.Writer) error {
	var o feedOptions
	flags := flag.NewFlagSet("slipway-bench feed", flag.ContinueOnError)
	flags.StringVar(&o.data, "data", "", "`folder` of pictures")
	flags.StringVar(&o.augment, "augment", "random-resized-crop,flip", "as train's")
	flags.StringVar(&o.memory, "memory", "2GB", "as train's")
	flags.StringVar(&o.cache, "picture-cache", "", "as train's")
	flags.BoolVar(&o.values, "values", false, "make float32 values 0…1 of the bytes, too")
	flags.IntVar(&o.resize, "resize", 224, "height and width of an image")
	flags.IntVar(&o.batch, "batch", 32, "images of a batch")
	flags.IntVar(&o.threads, "threads", 2, "threads to read on")
	flags.IntVar(&o.epochs, "epochs", 2, "epochs to read")
	flags.Uint64Var(&o.seed, "seed", 1, "decides order and augmentation")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.data == "" || o.threads < 1 || flags.NArg() > 0 {
		return errors.New("feed: give -data, at least one of -threads, and flags alone")
	}
	runtime.GOMAXPROCS(o.threads)
	pool := kernel.NewPool(o.threads)
	defer pool.Close()
	f := feeding{feedOptions: o, pool: pool, answers: json.NewEncoder(out)}
	return f.run(ctx)
}

// feeding is a feed in progress.
type feeding struct {
	feedOptions
	pool    *kernel.Pool
	answers *json.Encoder
	source  dataset.Source
	info    dataset.Info
	bytes   []uint8   // B×C×H×W
	floats  []float32 // the same, for -values
	labels  []int32
	errors  []error // of each item of a batch
}

func (f *feeding) run(ctx context.Context) error {
	began := time.Now()
	if err := f.open(ctx); err != nil {
		return err
	}
	answer := fedEpoch{Images: f.info.Images, OpenSeconds: time.Since(began).Seconds()}
	batches, err := dataset.NewBatches(f.info.Images, f.batch, f.seed)
	if err != nil {
		return err
	}
	for epoch := range f.epochs {
		began, busy := time.Now(), cpuSeconds()
		for _, indices := range batches.Epoch(epoch, 0) {
			if err := f.read(ctx, indices, epoch); err != nil {
				return err
			}
		}
		answer.Epoch, answer.Seconds = epoch+1, time.Since(began).Seconds()
		answer.CPUSeconds, answer.PeakMegabytes = cpuSeconds()-busy, peakMegabytes()
		if err := f.answers.Encode(answer); err != nil {
			return fmt.Errorf("feed: answer: %w", err)
		}
		answer.OpenSeconds = 0
	}
	return nil
}

// open opens the set, and makes room for a batch.
func (f *feeding) open(ctx context.Context) error {
	memory, err := cli.ParseBytes(f.memory)
	if err != nil {
		return fmt.Errorf("feed: -memory: %w", err)
	}
	list, err := augment.ParseList(f.augment)
	if err != nil {
		return fmt.Errorf("feed: -augment: %w", err)
	}
	from, err := dataset.OpenSource(ctx, f.data, dataset.Options{
		Sizing:    &picture.Sizing{Height: f.resize, Width: f.resize},
		Originals: list.NeedsOriginal(), Memory: memory, PictureCache: f.cache,
		Messages: os.Stderr,
	})
	if err != nil {
		return err
	}
	if f.source, err = augment.Source(from, list, f.seed); err != nil {
		return err
	}
	f.info = f.source.Info()
	f.bytes = make([]uint8, f.batch*f.imageSize())
	f.labels = make([]int32, f.batch)
	f.errors = make([]error, (f.batch+feedAtOnce-1)/feedAtOnce)
	if f.values {
		f.floats = make([]float32, len(f.bytes))
	}
	return nil
}

func (f *feeding) imageSize() int { return f.info.Channels * f.info.Height * f.info.Width }

// read reads a batch on all threads.
func (f *feeding) read(ctx context.Context, indices []int, epoch int) error {
	items, size := (len(indices)+feedAtOnce-1)/feedAtOnce, f.imageSize()
	f.pool.Run(items, func(_, item int) {
		first := item * feedAtOnce
		last := min(first+feedAtOnce, len(indices))
		bytes := f.bytes[first*size : last*size]
		err := f.source.Read(ctx, bytes, f.labels[first:last], indices[first:last], epoch)
		if err == nil && f.floats != nil {
			pixels := dataset.UnitPixels()
			err = pixels.Feed(f.floats[first*size:last*size], bytes, f.info.Channels, size)
		}
		f.errors[item] = err
	})
	return errors.Join(f.errors[:items]...)
}

// cpuSeconds reads what the process's threads have computed from Linux's /proc. Go's threads
// stay, so that none is missing.
func cpuSeconds() float64 {
	threads, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return 0
	}
	sum := 0.0
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), " ")
		if nanoseconds, err := strconv.ParseFloat(first, 64); err == nil {
			sum += nanoseconds / 1e9
		}
	}
	return sum
}

// peakMegabytes reads the process's high-water mark from Linux's /proc.
func peakMegabytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kibibytes, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	return kibibytes * 1024 / 1e6
}
