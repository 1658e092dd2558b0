package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway/infer"
	"slipway/onnx"
)

// openHugot opens the model on the back ends of hugot that scripts/bench/hugot/build built, and
// hands over the images. The function it returns closes them, also where there is an error.
func openHugot(ctx context.Context, p plan, set images, labels []string) (
	sides []*side, missing []leftOut, closeAll func() error, err error,
) {
	var closers []func() error
	closeAll = func() error {
		var all error
		for _, c := range slices.Backward(closers) {
			all = errors.Join(all, c())
		}
		return all
	}
	folder, err := os.MkdirTemp("", "bench-hugot-*")
	if err != nil {
		return nil, nil, closeAll, err
	}
	closers = append(closers, func() error { return os.RemoveAll(folder) })
	model, err := hugotModel(folder, p.model, labels)
	if err != nil {
		return nil, nil, closeAll, fmt.Errorf("what hugot reads: %w", err)
	}
	for _, of := range []struct{ name, program string }{
		{"hugot (Go)", "hugot-go"}, {"hugot (onnxruntime)", "hugot-ort"},
	} {
		if why := absent(p.hugot, of.program); why != "" {
			missing = append(missing, leftOut{of.name, why})
			continue
		}
		c, err := start(ctx, filepath.Join(p.hugot, of.program))
		if err != nil {
			return nil, nil, closeAll, err
		}
		closers = append(closers, c.close)
		note, err := c.handOver(model, set)
		if err != nil {
			return nil, nil, closeAll, fmt.Errorf("%s: %w", of.name, err)
		}
		sides = append(sides, &side{name: of.name, subject: c, note: note +
			"; a process of its own, `RunWithImages` of one image, whose scores are not made probabilities"})
	}
	return sides, missing, closeAll, nil
}

// absent says why a program is not in the folder, nothing if it is.
func absent(folder, program string) string {
	if folder == "" {
		return "-hugot was not given"
	}
	if _, err := os.Stat(filepath.Join(folder, program)); err == nil {
		return ""
	}
	why, err := os.ReadFile(filepath.Join(folder, program+".missing"))
	if err != nil {
		return "it is not built (scripts/bench/hugot/build)"
	}
	return strings.TrimSpace(string(why))
}

// hugotModel fills a folder as hugot reads it, and says what else it must be told: hugot does not
// read the model's own record.
func hugotModel(folder, path string, labels []string) (childModel, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return childModel{}, err
	}
	if err := os.WriteFile(filepath.Join(folder, "model.onnx"), content, 0o600); err != nil {
		return childModel{}, err
	}
	names := make(map[string]string, len(labels))
	for class, label := range labels {
		names[strconv.Itoa(class)] = label
	}
	config, err := json.Marshal(map[string]any{"id2label": names})
	if err != nil {
		return childModel{}, err
	}
	if err := os.WriteFile(filepath.Join(folder, "config.json"), config, 0o600); err != nil {
		return childModel{}, err
	}
	library, err := infer.FindLibrary("", false)
	if err != nil {
		return childModel{}, err
	}
	of := childModel{Folder: folder, Library: library.Path, Classes: len(labels)}
	of.Means, of.Deviations, err = normalization(path)
	return of, err
}

// normalization is the model's pixel rule, x·scale + offset, as (x/255 − mean)/deviation of each
// channel.
func normalization(path string) (means, deviations [3]float32, err error) {
	model, err := onnx.Read(path)
	if err != nil {
		return means, deviations, err
	}
	record, _, err := model.TrainingRecord()
	if err != nil {
		return means, deviations, err
	}
	scales, offsets := record.PixelTransform()
	if len(scales) != len(offsets) || len(scales) != 1 && len(scales) != 3 {
		return means, deviations, fmt.Errorf("%s scales pixels by %v and adds %v; hugot has three "+
			"channels", path, scales, offsets)
	}
	for c := range 3 {
		k := min(c, len(scales)-1)
		deviation := 1 / (255 * scales[k])
		means[c], deviations[c] = float32(-offsets[k]*deviation), float32(deviation)
	}
	return means, deviations, nil
}

// handOver opens the model in the child and gives it the images.
func (c *child) handOver(model childModel, set images) (note string, err error) {
	answer, err := c.ask(request{Open: &model})
	if err != nil {
		return "", err
	}
	for i, m := range set.all {
		rgba, ok := m.(*image.RGBA)
		if !ok {
			return "", fmt.Errorf("image %d is a %T", i, m)
		}
		if _, err := c.ask(request{Image: &childPixels{set.width, set.height, rgba.Pix}}); err != nil {
			return "", fmt.Errorf("image %d: %w", i, err)
		}
	}
	return answer.Note, nil
}
