package infer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/infer"
)

// referenceName is the file of the trainer's logits in the folder that is named
// after the model.
const referenceName = "trainer_logits.safetensors"

// crossValidate compares the result with the other runtimes' and the trainer's.
// A runtime that does not support the model, and onnxruntime where there is no
// library and nobody named one, is noted. That nothing at all could be compared is no
// agreement: it is a reason, and the result that there is is printed all the same.
func (r *report) crossValidate(ctx context.Context) error {
	s := r.session
	r.source = &source{flags: &s.runFlags, model: s.loaded.model, set: s.set, pixels: s.loaded.pixels,
		tf32: s.tf32, progress: s.progress, head: infer.FindHead(s.loaded.model, s.output)}
	var err error
	if r.answers, err = r.answersOf(ctx, s.runtime, r.result); err != nil {
		return err
	}
	for _, name := range infer.RuntimeNames() {
		if name == r.session.runtime {
			continue
		}
		result, err := r.otherRuntime(ctx, name)
		var library *infer.LibraryError
		if errors.Is(err, infer.ErrUnsupported) || errors.As(err, &library) && !r.session.ownLibrary() {
			r.notes = append(r.notes, fmt.Sprintf("not compared: %v", err))
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			// What the first one answered is told all the same.
			r.reasons = append(r.reasons, fmt.Sprintf("%s could not be compared: %v", name, err))
			continue
		}
		r.note(result.Info.Notes...)
		answers, err := r.answersOf(ctx, name, result)
		if err == nil {
			err = r.compare(ctx, result, answers)
		}
		if err != nil {
			return err
		}
	}
	if err := r.compareWithTrainer(ctx); err != nil {
		return err
	}
	if len(r.compared) == 0 {
		r.uncompared = true
		r.reasons = append(r.reasons, "nothing to compare with, see the notes")
	}
	return nil
}

func (r *report) otherRuntime(ctx context.Context, name string) (*infer.Result, error) {
	runtime, err := r.session.open(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	result, err := r.session.run(ctx, runtime, 0)
	return result, errors.Join(err, runtime.Close())
}

// answersOf adds to a result what lies before the model's head, and notes where that is not shown.
func (r *report) answersOf(ctx context.Context, name string, result *infer.Result) (infer.Answers,
	error) {
	answers, note, err := r.source.answers(ctx, name, result)
	if note != "" {
		r.note(note)
	}
	return answers, err
}

// readReference reads the trainer's answers, before anything is computed: what is wrong with the
// file does not wait for the runtimes. Without a file it is nil.
func (r *report) readReference() error {
	s := r.session
	path, asked := s.reference, s.reference != ""
	if !asked {
		path = filepath.Join(strings.TrimSuffix(s.modelPath, filepath.Ext(s.modelPath)), referenceName)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			r.referenceNote = fmt.Sprintf("not compared with the trainer: there is no %s", path)
			return nil
		}
	}
	reference, err := infer.ReadReference(path)
	if err != nil {
		return err
	}
	if err := reference.Matches(s.set); err != nil {
		if asked {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.referenceNote = fmt.Sprintf("not compared with the trainer: %s: %v", path, err)
		return nil
	}
	if sum, err := sha256Of(s.modelPath); err != nil {
		return err
	} else if reference.ModelSHA256 != "" && reference.ModelSHA256 != sum {
		r.referenceNote = fmt.Sprintf(
			"%s was written for another model file: its sha256 is %s, this one's %s", path,
			reference.ModelSHA256, sum)
	}
	r.reference, r.referencePath = reference, path
	return nil
}

func (r *report) compareWithTrainer(ctx context.Context) error {
	s := r.session
	if r.referenceNote != "" {
		r.notes = append(r.notes, r.referenceNote)
	}
	if r.reference == nil {
		return nil
	}
	result, err := r.reference.CountAt(ctx, s.set, s.options.threshold)
	if err != nil {
		return fmt.Errorf("%s: %w", r.referencePath, err)
	}
	answers := infer.Answers{Scores: result.Logits}
	if head := r.source.head; !head.None() && !head.MadeBy(result.Logits) {
		answers = infer.Answers{Scores: head.Apply(result.Logits), Logits: result.Logits}
	}
	return r.compare(ctx, result, answers)
}

func (r *report) compare(ctx context.Context, other *infer.Result, answers infer.Answers) error {
	first := r.result.Info.Runtime
	measure := func() (*infer.Rounding, error) {
		var largest *infer.Rounding
		for _, side := range []struct {
			name    string
			answers infer.Answers
		}{{first, r.answers}, {other.Info.Runtime, answers}} {
			if side.name == infer.RuntimeTrainer {
				continue
			}
			rounding, err := r.source.rounding(ctx, side.name, side.answers)
			switch {
			case ctx.Err() != nil:
				return nil, err
			case err != nil:
				r.note(fmt.Sprintf("the rounding of %s was not measured: %v", side.name, err))
			case largest == nil || rounding.Measured > largest.Measured:
				largest = &rounding
			}
		}
		return largest, nil
	}
	v, err := settle(r.answers, answers, r.source.head, r.session.tolerance, r.session.toleranceGiven,
		r.result.Told(), measure)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", first, other.Info.Runtime, err)
	}
	r.compared = append(r.compared, compared{other, v})
	if !v.Agree() {
		r.reasons = append(r.reasons, fmt.Sprintf("%s and %s: %s", first, other.Info.Runtime, v.Reason()))
	}
	return nil
}

func sha256Of(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
