package infer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/atomicfile"
	"slipway/internal/cli"
	"slipway/internal/evaluation"
	"slipway/metrics"
	"slipway/onnx"
)

// session is what one call of the command works with.
type session struct {
	*options
	*loaded
	set      dataset.Source
	progress io.Writer
}

// report is everything that is printed.
type report struct {
	session    *session
	result     *infer.Result
	names      []string      // of the classes
	comparable bool          // the record's accuracy is of this data
	source     *source       // of the model's answers, with -cross-validate
	answers    infer.Answers // of the first runtime, with -cross-validate
	compared   []compared
	labelled   *metrics.MultiLabel // what the labels' answers are worth, once it is asked for
	folder     error               // why the folder of -report could not be written
	// reference is the trainer's answer and the file of it, with -cross-validate and where there is
	// one; referenceNote what is to be said of the file.
	reference                    *infer.Reference
	referencePath, referenceNote string

	notes      []string
	reasons    []string // why something disagrees
	uncompared bool     // a comparison was asked for, and there was nothing to compare with
}

// compared is another side's answer beside the first one's.
type compared struct {
	result     *infer.Result
	comparison verdict
}

// disagreement is printed in the report already; the error is for the exit code.
var errDisagree = errors.New("the answers disagree")

// sparesTheSet refuses a table that would be written over a file of the set at a place, such as its
// list of labels.
func sparesTheSet(table, place string) error {
	if table == "" || place == "" {
		return nil
	}
	if _, err := os.Lstat(table); err != nil {
		return nil // nothing is written over; writing tells what else is wrong
	}
	whole, err := filepath.Abs(table)
	if err != nil {
		return err
	}
	for _, part := range []dataset.Part{dataset.Train, dataset.Test} {
		place = strings.TrimSuffix(place, ":"+string(part))
	}
	if within, err := filepath.Rel(place, whole); err == nil &&
		(within == "." || filepath.IsLocal(within)) {
		return fmt.Errorf(
			"-o %s: it is there, among the files of the set, and is not written over: name another file",
			table)
	}
	return nil
}

func evaluate(ctx context.Context, o *options, stdout, stderr, progress io.Writer) error {
	if o.report != "" {
		if err := evaluation.CheckFolder(o.report); err != nil {
			return err
		}
	}
	s, err := newSession(ctx, o, stderr, progress)
	if err != nil {
		return err
	}
	defer s.loaded.model.Close()
	if err := sparesTheSet(o.predictions, s.set.Info().Place); err != nil {
		return err
	}
	r := &report{session: s}
	if o.crossValidate {
		if err := r.readReference(); err != nil {
			return err
		}
	}
	runtime, note, err := s.openFirst("infer", stderr, func(name string) (infer.Runtime, error) {
		return s.open(ctx, name, s.batch)
	})
	if err != nil {
		return err
	}
	if note != "" {
		r.note(note)
	}
	r.result, err = s.run(ctx, runtime, o.batch)
	if err := errors.Join(err, runtime.Close()); err != nil {
		return err
	}
	r.note(r.result.Info.Notes...)
	if err := r.nameClasses(); err != nil {
		return err
	}
	if err := r.checkRecord(); err != nil {
		return err
	}
	if o.crossValidate {
		if err := r.crossValidate(ctx); err != nil {
			return err
		}
	}
	if o.predictions != "" {
		err := atomicfile.Write(o.predictions, func(w io.Writer) error {
			return infer.WritePredictions(w, r.result)
		})
		if err != nil {
			return err
		}
	}
	if o.report != "" {
		// What was found is printed also where the folder cannot have it.
		r.folder = r.writeFolder(ctx, o.report)
	}
	if o.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.writeText(stdout)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("print the result: %w", err), r.folder)
	}
	switch {
	case r.folder != nil:
		return r.folder
	case r.uncompared && len(r.reasons) == 1:
		return errors.New(r.reasons[0])
	case len(r.reasons) > 0:
		return fmt.Errorf("%w: %s", errDisagree, strings.Join(r.reasons, "; "))
	}
	return nil
}

// note adds what must be heard, once: two runtimes may say the same of the model.
func (r *report) note(notes ...string) {
	for _, note := range notes {
		if !slices.Contains(r.notes, note) {
			r.notes = append(r.notes, note)
		}
	}
}

// nameClasses decides what the classes are called, and notes where the set calls them
// otherwise.
func (r *report) nameClasses() error {
	info := r.session.set.Info()
	var err error
	if r.names, err = r.session.classNames(r.result.Classes, info.ClassNames); err != nil {
		return err
	}
	if record := r.session.record; record != nil && r.session.labels == "" {
		if note := infer.OtherClasses(record.ClassLabels, info); note != "" {
			r.note(note)
		}
	}
	return nil
}

// classNames are what so many classes are called: as -labels says, as the model's record
// does, or else as those of the data are.
func (s *session) classNames(classes int, ofData []string) ([]string, error) {
	names := ofData
	if s.record != nil && len(s.record.ClassLabels) > 0 {
		names = s.record.ClassLabels
	}
	if s.labels != "" {
		if names = s.labelNames; len(names) != classes {
			return nil, fmt.Errorf("-labels: %s has %d names, the model gives %d scores", s.labels,
				len(names), classes)
		}
	}
	return dataset.LabelsOf(names, classes), nil
}

// readLabels reads what -labels names, before a large model is read.
func (o *options) readLabels() (err error) {
	if o.labels == "" {
		return nil
	}
	if o.labelNames, err = dataset.ReadClassNames(o.labels); err != nil {
		return fmt.Errorf("-labels: %w", err)
	}
	return nil
}

func newSession(ctx context.Context, o *options, stderr, progress io.Writer) (*session, error) {
	if err := o.readLabels(); err != nil {
		return nil, err
	}
	model, err := loadModel(o.model, o.output, o.pixels, o.reader())
	if err != nil {
		return nil, err
	}
	model.threshold = o.threshold
	s := &session{options: o, loaded: model, progress: progress}
	if s.set, err = o.openData(ctx, []*loaded{model}, stderr); err != nil {
		return nil, err
	}
	if o.threshold != 0 && !s.set.Info().MultiLabel {
		return nil, &usageError{fmt.Errorf(
			"-threshold is of images with any number of labels; those of %s have one each",
			s.set.Info().Name)}
	}
	if o.corruption == nil {
		return s, nil
	}
	set, err := dataset.Load(ctx, s.set)
	if err != nil {
		return nil, err
	}
	if set, err = o.corruption.Apply(set); err != nil {
		return nil, err
	}
	s.set = set
	return s, nil
}

// loaded is a model with what its record says.
type loaded struct {
	modelPath string
	model     *onnx.Model
	record    *onnx.TrainingRecord // nil for a model without one
	pixels    dataset.Pixels
	scale     infer.Scale
	threshold float64 // above which a label is told; 0 for the usual
}

// loadModel reads a model by read, with the scores of that output. What the flags say of pixels goes
// before its record.
func loadModel(name, output string, pixels *feeding,
	read func(path string) (*onnx.Model, error)) (*loaded, error) {
	l := &loaded{}
	var err error
	if l.modelPath, err = cli.FindModel(name); err != nil {
		return nil, err
	}
	if l.model, err = read(l.modelPath); err != nil {
		return nil, err
	}
	record, ok, err := l.model.TrainingRecord()
	if err != nil {
		return nil, err
	}
	if ok {
		l.record = &record
	}
	if l.pixels, err = pixels.pixelsFor(l.record); err != nil {
		return nil, fmt.Errorf("%s: %w", l.modelPath, err)
	}
	l.scale = infer.ScaleOf(l.model, output)
	return l, nil
}

// reader is how the model is read: without its weights where onnxruntime alone is to use them.
func (o *options) reader() func(path string) (*onnx.Model, error) {
	if o.runtime == infer.RuntimeONNXRuntime && !o.crossValidate {
		return infer.OpenModel
	}
	return infer.LoadModel
}

// openData opens the data set, the test part of a folder that has two; that there is none of the
// name is wrong usage.
func openData(ctx context.Context, data string, options dataset.Options) (dataset.Source, error) {
	options.Part = dataset.Test
	set, err := dataset.OpenSource(ctx, data, options)
	if errors.Is(err, dataset.ErrUnknown) || errors.Is(err, dataset.ErrAmbiguous) ||
		errors.Is(err, dataset.ErrArgument) {
		return nil, &usageError{fmt.Errorf("-data: %w", err)}
	}
	return set, err
}

// open opens the model in the runtime of that name.
func (s *session) open(ctx context.Context, name string, batch int) (infer.Runtime, error) {
	return s.runFlags.open(ctx, name, s.loaded.model, batch, s.tf32)
}

func (s *session) run(ctx context.Context, runtime infer.Runtime, batch int) (*infer.Result,
	error) {
	return runOn(ctx, runtime, s.set, s.loaded, batch, s.progress)
}

// runOn evaluates a runtime and shows how far it is.
func runOn(ctx context.Context, runtime infer.Runtime, set dataset.Source, model *loaded, batch int,
	progress io.Writer) (*infer.Result, error) {
	options := infer.EvaluateOptions{Batch: batch, Pixels: model.pixels, Scale: model.scale,
		Threshold: model.threshold, Probe: true, KeepLogits: true}
	if progress != nil {
		name := runtime.Info().Runtime
		options.Progress = func(done, total int) {
			fmt.Fprintf(progress, "\r%s: %d of %d images", name, done, total)
		}
		// Over what was printed, back to the line's beginning.
		defer fmt.Fprintf(progress, "\r%60s\r", "")
	}
	return infer.Evaluate(ctx, runtime, set, options)
}

// checkRecord compares the accuracy with the recorded one where both are of the
// same images, fed in the same way.
func (r *report) checkRecord() error {
	s := r.session
	r.comparable = s.record != nil && s.options.pixels == nil && s.options.threshold == 0 &&
		infer.IsRecordedTest(*s.record, s.set)
	if !r.comparable {
		return nil
	}
	if err := infer.CheckRecorded(r.result, *s.record, s.tolerance); err != nil {
		r.reasons = append(r.reasons, fmt.Sprintf("%s: %v", r.result.Info.Runtime, err))
	}
	return nil
}
