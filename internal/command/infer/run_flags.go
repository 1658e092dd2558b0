package infer

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"slipway/dataset"
	"slipway/dataset/feed"
	"slipway/infer"
	"slipway/internal/cli"
	"slipway/internal/command/worker"
	"slipway/onnx"
)

// dataUsage explains -data.
const dataUsage = "`set`: t10k, train, optdigits, fashion, cifar10, cifar100, a folder, or a file of numbers; if empty, the one that the model records"

// runFlags are the flags of all that run models on a data set.
type runFlags struct {
	data    string
	dataDir string
	batch   int
	device  infer.Device
	library string
	output  string
	threads int
	json    bool
	pixels  *feeding // nil: as each model's record says
	version bool
	// pictures is how those of a folder are read.
	pictures cli.Pictures
	ownNames bool // -labels names the classes

	deviceName, pixelsText, channels string
}

// define defines the flags. several says whether they are of more than one model.
func (f *runFlags) define(flags *flag.FlagSet, several bool) {
	model, says := "a model", "the model says"
	if several {
		model, says = "models", "the models say"
	}
	devices := []string{string(infer.DeviceAuto), string(infer.DeviceCPU), string(infer.DeviceCUDA)}
	cli.Suggest(flags, &f.data, "data", "", cli.DataSets{}, dataUsage)
	flags.StringVar(&f.dataDir, "data-dir", "",
		"`folder` with MNIST's training files, for -data train")
	flags.IntVar(&f.batch, "batch", 0, fmt.Sprintf("images of one run (%d, or what 256 MiB take)",
		infer.DefaultBatch))
	cli.Choice(flags, &f.deviceName, "device", string(infer.DeviceAuto), devices,
		"auto, cpu or cuda, for onnxruntime")
	flags.StringVar(&f.library, "library", "", "onnxruntime's shared library `file`; else "+
		infer.LibraryVariable+", then what make setup brought")
	flags.StringVar(&f.output, "output", "", "`name` of the score output of "+model+" with several")
	flags.IntVar(&f.threads, "threads", 0, "threads to compute with; 0 for one each core")
	flags.BoolVar(&f.json, "json", false, "print JSON instead of text")
	cli.Suggest(flags, &f.pixelsText, "pixels", "", cli.Words(feed.Names()),
		"how pixels are fed instead of as "+says+", or else "+feed.Raw+": "+
			strings.Join(feed.Names(), ", ")+
			", `MEAN,STD` for (x/255-MEAN)/STD, or mean=…,std=… for each channel")
	cli.Choice(flags, &f.channels, "channels", channelsRGB, []string{channelsRGB, channelsBGR},
		"feed red, green, blue as they are, or bgr; -pixels is in this order")
	f.pictures.Define(flags)
	flags.BoolVar(&f.version, "version", false, "print the version")
}

// take turns what was given into what it means.
func (f *runFlags) take(given map[string]bool) error {
	var err error
	if f.device, err = infer.ParseDevice(f.deviceName); err != nil {
		return fmt.Errorf("-device: %w", err)
	}
	if f.pixels, err = f.parsePixels(given); err != nil {
		return err
	}
	return f.pictures.Take(given)
}

func (f *runFlags) check(given map[string]bool) error {
	switch {
	case given["batch"] && f.batch < 1:
		return fmt.Errorf("-batch %d: at least 1 is needed", f.batch)
	case f.dataDir != "" && f.data != string(dataset.Train):
		return fmt.Errorf("-data-dir applies to -data train alone, not to -data %q", f.data)
	}
	return cli.CheckThreads(f.threads)
}

// openData opens the set of -data, or else the one that the first of the models with a
// record was tested on.
func (f *runFlags) openData(ctx context.Context, models []*loaded,
	messages io.Writer) (dataset.Source, error) {
	if f.data != "" {
		return f.openFor(ctx, models[0], messages)
	}
	name := ""
	for i, model := range models {
		tested := ""
		if model.record != nil {
			tested = infer.RecordedTestSet(*model.record)
		}
		switch {
		case i > 0 && tested != name && tested != "":
			return nil, &usageError{fmt.Errorf("-data is missing: %s was tested on %s, %s on %s",
				models[0].modelPath, cmp.Or(name, "no set that it names"), model.modelPath, tested)}
		case i == 0:
			name = tested
		}
	}
	switch {
	case dataset.IsWord(name):
		return openData(ctx, name, dataset.Options{Messages: messages})
	case name != "":
		return nil, &usageError{fmt.Errorf(
			"-data is missing: the model was tested on %s, which may be anywhere; say where", name)}
	}
	return nil, &usageError{errors.New(
		"-data is missing: the set to run on, since the model does not say which it was tested on")}
}

// loadData is openData for what looks at single images: the set is in memory.
func (f *runFlags) loadData(ctx context.Context, models []*loaded,
	messages io.Writer) (*dataset.Set, error) {
	source, err := f.openData(ctx, models, messages)
	if err != nil {
		return nil, err
	}
	if err := source.Info().OneLabel("what infer compare and infer robustness say"); err != nil {
		return nil, err
	}
	return dataset.Load(ctx, source)
}

// openFor opens the set of -data as the model takes its images.
func (f *runFlags) openFor(ctx context.Context, model *loaded, messages io.Writer) (dataset.Source,
	error) {
	options, err := infer.PictureOptions(model.model, model.record,
		f.pictures.Apply(dataset.Options{}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.modelPath, err)
	}
	options.DataDir, options.Messages, options.OwnNames = f.dataDir, messages, f.ownNames
	set, err := openData(ctx, f.data, options)
	if err != nil {
		return nil, err
	}
	if err := f.pictures.Check(set); err != nil {
		return nil, &usageError{err}
	}
	set, err = infer.InModelOrder(set, model.record)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.modelPath, err)
	}
	return set, nil
}

// ownLibrary reports whether the user named an onnxruntime library.
func (f *runFlags) ownLibrary() bool {
	return f.library != "" || os.Getenv(infer.LibraryVariable) != ""
}

// open opens a model in the runtime of that name, for batches of that size at most.
func (f *runFlags) open(ctx context.Context, runtime string, model *onnx.Model, batch int,
	tf32 bool) (infer.Runtime, error) {
	options, err := f.runtimeOptions(runtime, batch, tf32)
	if err != nil {
		return nil, err
	}
	return infer.OpenRuntime(ctx, runtime, model, options)
}

// runtimeOptions are what the flags say of the runtime of that name.
func (f *runFlags) runtimeOptions(runtime string, batch int, tf32 bool) (infer.RuntimeOptions,
	error) {
	worker, err := workerCommand(runtime)
	return infer.RuntimeOptions{
		Device: f.device, Threads: f.threads, Library: f.library, Output: f.output, Worker: worker,
		Batch: batch, TF32: tf32,
	}, err
}

// workerCommand makes this program the worker of onnx-go. Other runtimes need none,
// nor the /proc that it is found through.
func workerCommand(runtime string) ([]string, error) {
	if runtime != infer.RuntimeONNXGo {
		return nil, nil
	}
	return worker.Command()
}

// oneRuntime is the flag of what answers in one runtime.
type oneRuntime struct {
	runtime     string
	mayFallBack bool // onnxruntime is the default and nobody's wish
}

func (r *oneRuntime) define(flags *flag.FlagSet) {
	cli.Choice(flags, &r.runtime, "runtime", infer.RuntimeONNXRuntime, infer.RuntimeNames(),
		strings.Join(infer.RuntimeNames(), " or "))
}

// check reports what does not go with the runtime. alone says that no other runs beside it.
func (r *oneRuntime) check(f *runFlags, given map[string]bool, alone bool) error {
	r.mayFallBack = !given["runtime"] && !f.ownLibrary() && f.device != infer.DeviceCUDA
	switch {
	case r.runtime != infer.RuntimeONNXRuntime && f.device == infer.DeviceCUDA:
		return fmt.Errorf("-device cuda does not go with -runtime %s, which runs on the CPU", r.runtime)
	case r.runtime != infer.RuntimeONNXRuntime && given["library"] && alone:
		return fmt.Errorf("-library is onnxruntime's and does not go with -runtime %s", r.runtime)
	case r.runtime == infer.RuntimeONNXGo && f.batch == 1:
		return errors.New(
			"-batch 1 does not go with -runtime onnx-go: its Gemm is wrong for a single image; 2 or more are needed")
	}
	return nil
}

// openFirst opens the runtime that was asked for, or, where none was and onnxruntime
// has no library, native, and keeps to it. The note says so, and is told at once.
func (r *oneRuntime) openFirst(command string, stderr io.Writer,
	open func(runtime string) (infer.Runtime, error)) (runtime infer.Runtime, note string, err error) {
	runtime, err = open(r.runtime)
	var library *infer.LibraryError
	if err == nil || !r.mayFallBack || !errors.As(err, &library) {
		return runtime, "", err
	}
	note = fmt.Sprintf("the native runtime is used instead of onnxruntime: %v", err)
	r.runtime = infer.RuntimeNative
	runtime, nativeErr := open(r.runtime)
	if nativeErr != nil {
		return nil, "", fmt.Errorf("%w; and without onnxruntime: %w", err, nativeErr)
	}
	fmt.Fprintf(stderr, "%s: %s\n", command, cli.Spelled(note))
	return runtime, note, nil
}
