package infer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/atomicfile"
	"slipway/internal/cli"
)

// robustness is everything that infer robustness prints.
type robustness struct {
	options *robustnessOptions
	set     *dataset.Set
	models  []*robustnessModel
	notes   []string
}

// robustnessModel is one model with what was measured of it.
type robustnessModel struct {
	*loaded
	measured infer.Robustness
	unseen   []infer.Confidence // of each set of -unseen
}

// runRobustness is run for infer robustness.
func runRobustness(ctx context.Context, args []string, stdout, stderr, progress io.Writer) int {
	const command = "infer robustness"
	options, err := parseRobustness(args, stdout)
	if code, done := cli.Parsed(command, err, err == nil && options.version, stdout, stderr); done {
		return code
	}
	return exitCode(command, measureRobustness(ctx, options, stdout, stderr, progress), stderr)
}

func measureRobustness(ctx context.Context, o *robustnessOptions, stdout, stderr,
	progress io.Writer) (err error) {
	r := &robustness{options: o}
	var models []*loaded
	for _, name := range o.models {
		model, err := loadModel(name, o.output, o.pixels, infer.LoadModel)
		if err != nil {
			return err
		}
		r.models, models = append(r.models, &robustnessModel{loaded: model}), append(models, model)
	}
	if r.set, err = o.loadData(ctx, models, stderr); err != nil {
		return err
	}
	var unseen []*dataset.Set
	for _, name := range o.unseen {
		source, err := openData(ctx, name, dataset.Options{Messages: stderr})
		if err != nil {
			return fmt.Errorf("-unseen: %w", err)
		}
		if err := source.Info().OneLabel("what infer robustness says"); err != nil {
			return fmt.Errorf("-unseen: %w", err)
		}
		set, err := dataset.Load(ctx, source)
		if err != nil {
			return fmt.Errorf("-unseen: %w", err)
		}
		unseen = append(unseen, set)
		r.noteOtherClasses(set)
	}
	subjects, err := r.open(ctx, stderr)
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.Runtime.Close())
		}
	}()
	if err != nil {
		return err
	}
	if err := r.measure(ctx, subjects, unseen, progress); err != nil {
		return err
	}
	return r.write(stdout)
}

// noteOtherClasses notes a set whose classes are called otherwise than a model's.
func (r *robustness) noteOtherClasses(set *dataset.Set) {
	info := set.Info()
	for _, model := range r.models {
		if model.record == nil {
			continue
		}
		if note := infer.OtherClasses(model.record.ClassLabels, info); note != "" &&
			!slices.Contains(r.notes, note) {
			r.notes = append(r.notes, note)
		}
	}
}

// open opens every model, all in the same runtime. What it returns is the caller's
// to close, also beside an error.
func (r *robustness) open(ctx context.Context, stderr io.Writer) ([]infer.Subject, error) {
	o := r.options
	var subjects []infer.Subject
	for i, model := range r.models {
		open := func(name string) (infer.Runtime, error) {
			return o.open(ctx, name, model.model, o.batch, false)
		}
		if i > 0 {
			runtime, err := open(o.runtime)
			if err != nil {
				return subjects, err
			}
			subjects = append(subjects, infer.Subject{Runtime: runtime, Pixels: model.pixels,
				Scale: model.scale})
			continue
		}
		runtime, note, err := o.openFirst("infer robustness", stderr, open)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, infer.Subject{Runtime: runtime, Pixels: model.pixels,
			Scale: model.scale})
		if note != "" {
			r.notes = append(r.notes, note)
		}
		r.notes = append(r.notes, runtime.Info().Notes...)
	}
	return subjects, nil
}

func (r *robustness) measure(ctx context.Context, subjects []infer.Subject, unseen []*dataset.Set,
	progress io.Writer) error {
	options := infer.RobustnessOptions{Corruptions: r.options.corruptions, Seed: r.options.seed,
		Batch: r.options.batch}
	if progress != nil {
		options.Progress = func(name string, done, total int) {
			fmt.Fprintf(progress, "\r%-40s %d of %d", name, done, total)
		}
		// Over what was printed, back to the line's beginning.
		defer fmt.Fprintf(progress, "\r%60s\r", "")
	}
	if len(options.Corruptions) > 0 {
		measured, err := infer.MeasureRobustness(ctx, subjects, r.set, options)
		if err != nil {
			return err
		}
		for i, model := range r.models {
			model.measured = measured[i]
		}
	} else {
		clean, err := infer.MeasureUnseen(ctx, subjects, []*dataset.Set{r.set}, options)
		if err != nil {
			return err
		}
		for i, model := range r.models {
			model.measured = infer.Robustness{Info: subjects[i].Runtime.Info(), Clean: clean[i][0]}
		}
	}
	measured, err := infer.MeasureUnseen(ctx, subjects, unseen, options)
	if err != nil {
		return err
	}
	for i, model := range r.models {
		model.unseen = measured[i]
	}
	return nil
}

// write writes the files asked for, then prints.
func (r *robustness) write(stdout io.Writer) error {
	if r.options.csv != "" {
		if err := atomicfile.Write(r.options.csv, r.writeCSV); err != nil {
			return err
		}
	}
	if r.options.plot != "" {
		if err := r.draw(r.options.plot); err != nil {
			return fmt.Errorf("-plot: %w", err)
		}
	}
	print := r.writeText
	if r.options.json {
		print = r.writeJSON
	}
	if err := print(stdout); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
