package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/atomicfile"
	"slipway/onnx"
)

// session is what one call of the command works with.
type session struct {
	*options
	modelPath string
	model     *onnx.Model
	record    *onnx.TrainingRecord // nil for a model without one
	set       *dataset.Set
	pixels    dataset.Pixels
	progress  io.Writer
}

// report is everything that is printed.
type report struct {
	session    *session
	result     *infer.Result
	comparable bool // the record's accuracy is of this data
	compared   []compared
	notes      []string
	reasons    []string // why something disagrees
}

// compared is another side's answer beside the first one's.
type compared struct {
	result     *infer.Result
	comparison infer.Comparison
}

// disagreement is printed in the report already; the error is for the exit code.
var errDisagree = errors.New("the answers disagree")

func evaluate(ctx context.Context, o *options, stdout, stderr, progress io.Writer) error {
	s, err := newSession(ctx, o, progress)
	if err != nil {
		return err
	}
	r := &report{session: s}
	runtime, err := s.openFirst(ctx, r, stderr)
	if err != nil {
		return err
	}
	r.result, err = s.run(ctx, runtime, o.batch)
	if err := errors.Join(err, runtime.Close()); err != nil {
		return err
	}
	r.notes = append(r.notes, r.result.Info.Notes...)
	if err := r.checkRecord(); err != nil {
		return err
	}
	if o.crossValidate {
		if err := r.crossValidate(ctx); err != nil {
			return err
		}
	}
	if o.predictions != "" {
		err := atomicfile.Write(o.predictions, func(w io.Writer) error { return infer.WritePredictions(w, r.result) })
		if err != nil {
			return err
		}
	}
	if o.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.writeText(stdout)
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if len(r.reasons) > 0 {
		return fmt.Errorf("%w: %s", errDisagree, strings.Join(r.reasons, "; "))
	}
	return nil
}

func newSession(ctx context.Context, o *options, progress io.Writer) (*session, error) {
	s := &session{options: o, progress: progress}
	var err error
	if s.modelPath, err = findModel(o.model); err != nil {
		return nil, err
	}
	if s.model, err = infer.LoadModel(s.modelPath); err != nil {
		return nil, err
	}
	record, ok, err := s.model.TrainingRecord()
	if err != nil {
		return nil, err
	}
	if ok {
		s.record = &record
	}
	s.set, err = dataset.Open(ctx, o.data, dataset.Options{DataDir: o.dataDir})
	if errors.Is(err, dataset.ErrUnknown) || errors.Is(err, dataset.ErrAmbiguous) || errors.Is(err, dataset.ErrArgument) {
		return nil, &usageError{fmt.Errorf("-data: %w", err)}
	}
	if err != nil {
		return nil, err
	}
	switch {
	case o.pixels != nil:
		s.pixels = *o.pixels
	case s.record != nil:
		if s.pixels, err = infer.PixelsOf(record); err != nil {
			return nil, fmt.Errorf("%s: %w", s.modelPath, err)
		}
	}
	return s, nil
}

// findModel looks a bare name up in the working folder, in graphs/, and in
// graphs/ beside the folder of this program.
func findModel(name string) (string, error) {
	candidates := []string{name}
	if filepath.Base(name) == name {
		candidates = append(candidates, filepath.Join("graphs", name))
		if executable, err := os.Executable(); err == nil {
			if real, err := filepath.EvalSymlinks(executable); err == nil {
				executable = real
			}
			candidates = append(candidates, filepath.Join(filepath.Dir(executable), "..", "graphs", name))
		}
	}
	for _, candidate := range candidates {
		if _, err := os.Stat(candidate); err == nil {
			return candidate, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("the model: %w", err)
		}
	}
	return "", fmt.Errorf("there is no model %s: looked for %s; `make export` makes those of graphs/", name, strings.Join(candidates, ", "))
}

// openFirst opens the runtime that answers: the one asked for, or, where none was
// and onnxruntime has no library, native. That is told at once and in the report.
func (s *session) openFirst(ctx context.Context, r *report, stderr io.Writer) (infer.Runtime, error) {
	runtime, err := s.open(ctx, s.runtime, s.batch)
	var library *infer.LibraryError
	if err == nil || !s.mayFallBack || !errors.As(err, &library) {
		return runtime, err
	}
	note := fmt.Sprintf("the native runtime is used instead of onnxruntime: %v", err)
	s.runtime = runtimeNative
	runtime, nativeErr := s.open(ctx, s.runtime, s.batch)
	if nativeErr != nil {
		return nil, fmt.Errorf("%w; and without onnxruntime: %w", err, nativeErr)
	}
	r.notes = append(r.notes, note)
	fmt.Fprintf(stderr, "infer: %s\n", note)
	return runtime, nil
}

func (s *session) open(ctx context.Context, name string, batch int) (infer.Runtime, error) {
	if name == runtimeONNXGo {
		executable, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("onnx-go runs in a process of its own, from this program's file: %w", err)
		}
		return infer.OpenONNXGo(ctx, s.model, infer.ONNXGoOptions{
			Command: []string{executable, workerArgument},
			Batch:   batch,
			Threads: s.threads,
			Output:  s.output,
		})
	}
	if name == runtimeNative {
		return infer.OpenNative(ctx, s.model, infer.NativeOptions{Threads: s.threads, Output: s.output})
	}
	return infer.OpenONNXRuntime(s.model, infer.ONNXRuntimeOptions{
		Device:  s.device,
		Threads: s.threads,
		Library: s.library,
		Output:  s.output,
	})
}

func (s *session) run(ctx context.Context, runtime infer.Runtime, batch int) (*infer.Result, error) {
	options := infer.EvaluateOptions{Batch: batch, Pixels: s.pixels, KeepLogits: true}
	if s.progress != nil {
		name := runtime.Info().Runtime
		options.Progress = func(done, total int) { fmt.Fprintf(s.progress, "\r%s: %d of %d images", name, done, total) }
		// Over what was printed, back to the line's beginning.
		defer fmt.Fprintf(s.progress, "\r%60s\r", "")
	}
	return infer.Evaluate(ctx, runtime, s.set, options)
}

// checkRecord compares the accuracy with the recorded one where both are of the
// same images, fed in the same way.
func (r *report) checkRecord() error {
	s := r.session
	r.comparable = s.record != nil && s.options.pixels == nil && s.set.Name == string(dataset.Test) &&
		(s.record.DataSet == string(dataset.Train) || s.record.DataSet == "mnist") && s.record.TestImages == r.result.Images
	if !r.comparable {
		return nil
	}
	if err := infer.CheckRecorded(r.result, *s.record, s.tolerance); err != nil {
		r.reasons = append(r.reasons, fmt.Sprintf("%s: %v", r.result.Info.Runtime, err))
	}
	return nil
}
