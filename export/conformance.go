package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/atomicfile"
)

// ForeignRuntimes lists what Options.Verify may name beside Runtimes: those that
// scripts/conformance installs and runs, each from its own package registry.
func ForeignRuntimes() []string {
	return []string{
		"onnxruntime-python", "onnx-reference", "openvino", "opencv", "tract", "ncnn",
		"onnxruntime-web-node", "onnxruntime-web-chromium",
	}
}

// OptionalRuntimes lists those of scripts/conformance that run only where they are
// named.
func OptionalRuntimes() []string { return []string{"onnxruntime-java", "tvm", "iree", "litert"} }

// FindConformance returns the conformance script of the project's folder that the
// working directory or this program lies in.
func FindConformance() (string, error) {
	var from []string
	if directory, err := os.Getwd(); err == nil {
		from = append(from, directory)
	}
	if program, err := os.Executable(); err == nil {
		from = append(from, filepath.Dir(program))
	}
	for _, folder := range from {
		for {
			script := filepath.Join(folder, "scripts", "conformance", "conformance")
			if info, err := os.Stat(script); err == nil && info.Mode().IsRegular() {
				return script, nil
			}
			parent := filepath.Dir(folder)
			if parent == folder {
				break
			}
			folder = parent
		}
	}
	return "", fmt.Errorf(
		"scripts/conformance/conformance, which runs runtimes other than %s, is neither above the working directory nor above this program; "+
			"run export in the project's folder", strings.Join(Runtimes(), ", "))
}

// row is one runtime's line in the report of scripts/conformance.
type row struct {
	Runtime      string   `json:"runtime"`
	Title        string   `json:"title"`
	Version      string   `json:"version"`
	Precision    string   `json:"precision"`
	Host         string   `json:"host"`
	Accuracy     float64  `json:"accuracy"`
	LabelsDiffer int      `json:"labels_differ"`
	MaxAbsDiff   float64  `json:"max_abs_diff"`
	MaxRelDiff   float64  `json:"max_rel_diff"`
	Speed        float64  `json:"images_per_s"`
	Status       string   `json:"status"`
	Reasons      []string `json:"reasons"`
}

// askForeign runs the graph, which lies at path with the trainer's logits beside
// it, in runtimes of scripts/conformance. All of them are asked; the error names
// each that differs or could not be asked.
func (g *graph) askForeign(ctx context.Context, names []string, path string, tolerance float64,
	options Options, say func(string, ...any)) error {
	if options.Conformance == "" {
		return errors.New("verify: there is no conformance script to run other runtimes with")
	}
	report, images := filepath.Join(filepath.Dir(path), "report"), strings.TrimSuffix(path, ".onnx")+
		".images"
	if err := writeTestSet(ctx, images, g.test); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	args := []string{"--model", path, "--data", images, "--report", report, "--tolerance",
		strconv.FormatFloat(tolerance, 'g', -1, 64)}
	for _, name := range names {
		args = append(args, "--only", name)
	}
	rows, err := runConformance(ctx, options.Conformance, args, report+".json", options.Progress)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	var bad []error
	for _, name := range names {
		i := slices.IndexFunc(rows, func(r row) bool { return r.Runtime == name })
		switch {
		case i < 0:
			bad = append(bad, fmt.Errorf("%s is missing in the report of %s", name, options.Conformance))
			continue
		case rows[i].Status == "failed":
			bad = append(bad, fmt.Errorf("%s could not be asked: %s; remedy that or leave it out of -verify",
				name, strings.Join(rows[i].Reasons, "; ")))
			say("%s %s: FAILED: %s", rows[i].Title, rows[i].Version, strings.Join(rows[i].Reasons, "; "))
			continue
		}
		a := rows[i].answer(g.test.Len())
		g.answers = append(g.answers, a)
		say("%s", a.line(g.test.Len(), g.accuracyName(), g.unlabelled))
		if rows[i].Status != "agrees" {
			bad = append(bad, fmt.Errorf("%s does not answer as the trainer does: %s", name,
				strings.Join(rows[i].Reasons, "; ")))
		}
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("%w\nnothing was written", err)
	}
	return nil
}

// writeTestSet writes the images that the graph is verified on as IDX files, which every
// runtime is fed.
func writeTestSet(ctx context.Context, folder string, source dataset.Source) error {
	set, err := dataset.Load(ctx, source)
	if err != nil {
		return err
	}
	labels := &dataset.IDX{Type: dataset.Int32, Shape: []int{set.Len()}}
	for _, label := range set.Labels {
		labels.Data = binary.BigEndian.AppendUint32(labels.Data, uint32(label))
	}
	images := &dataset.IDX{Type: dataset.Uint8, Data: set.Images,
		Shape: []int{set.Len(), set.Channels, set.Height, set.Width}}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for name, array := range map[string]*dataset.IDX{"images-idx4": images, "labels-idx1": labels} {
		path := filepath.Join(folder, "t10k-"+name+"-ubyte")
		err := atomicfile.Write(path, func(w io.Writer) error { return dataset.WriteIDX(w, array) })
		if err != nil {
			return err
		}
	}
	return nil
}

// runConformance runs the script and reads its report. That some rows are not as
// they should be is no error here.
func runConformance(ctx context.Context, script string, args []string, report string,
	progress io.Writer) ([]row, error) {
	command := exec.CommandContext(ctx, script, args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second // it ends its children first
	var last bytes.Buffer
	command.Stderr = &last
	if progress != nil {
		command.Stderr = io.MultiWriter(&last, progress)
	}
	err := command.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("%s: %w (it needs Python 3.11 or newer): %s", script, err,
			lastLine(last.String()))
	}
	data, err := os.ReadFile(report)
	if err != nil {
		return nil, fmt.Errorf("%s wrote no report: %s", script, lastLine(last.String()))
	}
	var document struct {
		Rows []row `json:"rows"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s: its report is no JSON: %w", script, err)
	}
	return document.Rows, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// answer is the row as if the runtime had been asked here.
func (r row) answer(images int) answer {
	provider := r.Precision
	if r.Host != "" {
		provider = r.Host
	}
	return answer{
		info:    infer.Info{Runtime: r.Title, Version: r.Version, Provider: provider, Device: "cpu"},
		correct: int(math.Round(r.Accuracy * float64(images))),
		comparison: infer.Comparison{
			Images: images, LabelsDiffer: r.LabelsDiffer, MaxAbsDiff: r.MaxAbsDiff, MaxRelDiff: r.MaxRelDiff,
		},
		speed: r.Speed,
	}
}
