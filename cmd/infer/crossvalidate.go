package main

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
		if err := r.compare(result); err != nil {
			return err
		}
	}
	if err := r.compareWithTrainer(); err != nil {
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

func (r *report) compareWithTrainer() error {
	s := r.session
	path, asked := s.reference, s.reference != ""
	if !asked {
		path = filepath.Join(strings.TrimSuffix(s.modelPath, filepath.Ext(s.modelPath)), referenceName)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			r.notes = append(r.notes, fmt.Sprintf("not compared with the trainer: there is no %s", path))
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
		r.notes = append(r.notes, fmt.Sprintf("not compared with the trainer: %s: %v", path, err))
		return nil
	}
	if sum, err := sha256Of(s.modelPath); err != nil {
		return err
	} else if reference.ModelSHA256 != "" && reference.ModelSHA256 != sum {
		r.notes = append(r.notes, fmt.Sprintf("%s was written for another model file: its sha256 is %s, this one's %s", path, reference.ModelSHA256, sum))
	}
	result, err := reference.Count(s.set)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return r.compare(result)
}

func (r *report) compare(other *infer.Result) error {
	c, err := infer.Compare(r.result.Logits, other.Logits, r.session.tolerance)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", r.result.Info.Runtime, other.Info.Runtime, err)
	}
	r.compared = append(r.compared, compared{other, c})
	if !c.Agree() {
		r.reasons = append(r.reasons, fmt.Sprintf("%s and %s: %s", r.result.Info.Runtime, other.Info.Runtime, c.Reason()))
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
