// Package export turns a training run into a graph that ships: the ONNX file,
// its card, ONNX test data and the trainer's own answers beside it. Nothing is
// written before other runtimes have answered as the trainer does.
package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway/builder"
	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/atomicfile"
	"slipway/internal/safetensors"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
	"slipway/train"
)

// Options are what Run may be told. Output is required.
type Options struct {
	// Output is the ONNX file; a folder of its name without .onnx goes beside it.
	Output string
	// Test is the set that the run is judged on, instead of the one that it was tested
	// on. It may be nil.
	Test dataset.Source
	// Verify names the runtimes that must agree, of Runtimes, ForeignRuntimes and
	// OptionalRuntimes; Usual stands for some. None skips the comparison.
	Verify []string
	// PassOver leaves out, and says so, those of Verify that run in this program and refuse the graph.
	// Otherwise they end the export.
	PassOver bool
	// Tolerance is the largest logit difference allowed, as a fraction of the
	// logits' range; infer.DefaultTolerance if zero.
	Tolerance float64
	// Worker is the command that serves onnx-go, as infer.ONNXGoOptions has it.
	Worker []string
	// Conformance is the script that runs ForeignRuntimes, as FindConformance finds
	// it; needed where Verify names one.
	Conformance string
	// ProducerVersion is written into the model.
	ProducerVersion string
	// Layers are the kinds of layers that the run's network may have beside those of package
	// builder, without settings.
	Layers []builder.Layer
	// Messages takes a line for each thing done, Progress what Conformance says
	// meanwhile. Either may be nil.
	Messages, Progress io.Writer
}

// Runtimes lists the runtimes that this program itself runs.
func Runtimes() []string { return infer.RuntimeNames() }

// graph is what an export is made of.
type graph struct {
	name       string
	checkpoint *train.Checkpoint
	sets       train.Sets
	test       dataset.Source    // nil where nothing is verified and the run has none
	answer     *train.Evaluation // nil likewise
	model      *onnx.Model
	bytes      []byte
	answers    []answer
	passed     []notAsked // runtimes that do not run the graph
	unlabelled bool       // of the test's images: nothing is told of an accuracy
}

// answer is how one runtime agreed with the trainer.
type answer struct {
	info       infer.Info
	correct    int
	comparison infer.Comparison
	rounding   *infer.Rounding // what its tolerance comes from, nil for the usual one
	speed      float64
}

// Run exports the newest whole checkpoint of the run.
func Run(ctx context.Context, run train.RunDir, options Options) error {
	say := func(format string, args ...any) {
		if options.Messages != nil {
			fmt.Fprintf(options.Messages, format+"\n", args...)
		}
	}
	checkpoint, path, damaged, err := run.Latest(options.Layers...)
	for _, problem := range damaged {
		say("warning: %v", problem)
	}
	if err != nil {
		return err
	}
	if err := mayWrite(options.Output); err != nil {
		return err
	}
	g := &graph{name: strings.TrimSuffix(filepath.Base(options.Output), ".onnx"),
		checkpoint: checkpoint}
	if checkpoint.Progress.Finished == "" {
		say("note: the run of %s is not finished; exporting it as far as it is trained", path)
	}
	if err := g.openTest(ctx, options, say); err != nil {
		return err
	}
	if err := g.evaluate(ctx); err != nil {
		return err
	}
	if err := g.encode(options.ProducerVersion); err != nil {
		return err
	}
	if err := g.verify(ctx, options, say); err != nil {
		return err
	}
	if err := g.write(ctx, options.Output); err != nil {
		return err
	}
	say("wrote %s (%d bytes), %s/", options.Output, len(g.bytes), folder(options.Output))
	return nil
}

// folder is the folder of a graph's card, test data and logits.
func folder(output string) string { return strings.TrimSuffix(output, ".onnx") }

// openTest finds the set that the run is judged on: the one asked for, that of the run,
// or, for a run of before that was recorded, the one that belongs to its training set.
func (g *graph) openTest(ctx context.Context, options Options,
	say func(string, ...any)) (err error) {
	g.sets = g.checkpoint.Sets
	g.test = options.Test
	if g.test == nil {
		g.test, err = recordedTest(ctx, g.sets)
	}
	if g.test == nil || err != nil {
		if len(options.Verify) > 0 {
			return g.noTest(err)
		}
		if err != nil {
			say("note: %v; no accuracy is recorded", err)
		}
		g.test, g.sets.Test = nil, nil
		return nil
	}
	info := g.test.Info()
	g.sets.Test = &info
	if info.MultiLabel != g.sets.Training.MultiLabel {
		return fmt.Errorf(
			"%w: the run was trained on %v, and is to be judged on %v; name another set with -data",
			dataset.ErrMultiLabel, g.sets.Training, info)
	}
	if others := foreign(options.Verify); info.MultiLabel && len(others) > 0 {
		return fmt.Errorf(
			"verify: %s are asked by scripts/conformance, which counts one label an image, "+
				"and the images of %s have any number: give -verify %s", strings.Join(others, ", "), info.Name,
			strings.Join(Runtimes(), ","))
	}
	if info.SHA256 == g.sets.Training.SHA256 {
		say("note: the test set is the training set: its accuracy says nothing of other images")
	}
	return nil
}

// recordedTest opens the test set that the record leads to, nil where it leads to none.
func recordedTest(ctx context.Context, sets train.Sets) (dataset.Source, error) {
	if sets.Test == nil {
		word, ok := dataset.TestSetOf(sets.Training.SHA256)
		if !ok {
			return nil, nil
		}
		return dataset.OpenSource(ctx, word, dataset.Options{Part: dataset.Test})
	}
	test, err := dataset.Reopen(ctx, *sets.Test, dataset.Options{Part: dataset.Test})
	if err != nil {
		return nil, fmt.Errorf("the run's test set: %w", err)
	}
	return test, nil
}

// noTest says what to do where there is nothing to verify on.
func (g *graph) noTest(err error) error {
	switch {
	case err == nil && g.sets.Training.Images == 0:
		err = errors.New("the run is of before runs recorded which set they were tested on")
	case err == nil:
		err = errors.New("the run was tested on no set")
	}
	return fmt.Errorf("%w; name one with -data, or export unverified with -verify none", err)
}

// evaluate asks the trainer itself.
func (g *graph) evaluate(ctx context.Context) error {
	if g.test == nil {
		return nil
	}
	c := g.checkpoint
	trainer, err := train.New(c.Network, g.test, c.Config, c.Result())
	if err != nil {
		return err
	}
	defer trainer.Close()
	g.answer, err = trainer.Evaluate(ctx, g.test)
	return err
}

// encode makes the model.
func (g *graph) encode(version string) error {
	c := g.checkpoint
	record, err := Record(c.Network, c.Config, g.sets, c.Progress, g.answer)
	if err != nil {
		return err
	}
	g.model, err = convert.FromNetwork(c.Network, c.Result(), record, convert.Options{
		ProducerVersion: version,
		Description:     fmt.Sprintf("%s, trained by Slipway on %s", c.Network.Name(), record.DataSet),
	})
	if err != nil {
		return err
	}
	if err := g.model.Check(); err != nil {
		return fmt.Errorf("the exported model: %w", err)
	}
	g.bytes, err = onnx.Encode(g.model)
	return err
}

// write puts the model and what goes beside it in place, the model last.
func (g *graph) write(ctx context.Context, output string) error {
	dir := folder(output)
	record := g.record()
	files, err := describe(ctx, output, g.bytes, record)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if files[recordFile], err = record.encode(); err != nil {
		return fmt.Errorf("export: %s: %w", recordFile, err)
	}
	if files[curveFile], err = g.checkpoint.Progress.History.SVG(g.name); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	// The record first: it tells a folder of ours, however far an export came.
	if err := atomicfile.WriteBytes(filepath.Join(dir, recordFile), files[recordFile]); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if g.test != nil {
		if err := g.writeLogits(dir); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if err := g.writeTestData(ctx, dir, g.trainerScores()); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	for name, content := range files {
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), content); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return g.model.Write(output)
}

// writeLogits writes the trainer's own answers to the test images.
func (g *graph) writeLogits(dir string) error {
	logits := g.trainerScores()
	metadata := map[string]string{"data": g.sets.Test.ShortName(), "model_sha256": g.digest()}
	if !g.sets.Test.IsDefault() {
		metadata["data_sha256"] = g.sets.Test.SHA256
	}
	return safetensors.Write(filepath.Join(dir, "trainer_logits.safetensors"), &safetensors.File{
		Metadata: metadata,
		Tensors: []safetensors.Tensor{safetensors.NewFloat32("logits", []int{logits.N, logits.K},
			logits.Values)},
	})
}

func (g *graph) digest() string {
	sum := sha256.Sum256(g.bytes)
	return hex.EncodeToString(sum[:])
}

// testImages is the most images in the ONNX test data.
const testImages = 4

// writeTestData writes the first images and the trainer's answers to them.
func (g *graph) writeTestData(ctx context.Context, dir string, logits infer.Logits) error {
	shape := g.checkpoint.Network.Input()
	images := min(testImages, g.test.Len())
	indices := make([]int, images)
	for i := range indices {
		indices[i] = i
	}
	pixels, err := infer.PixelsOfModel(g.model)
	if err != nil {
		return err
	}
	filled, err := dataset.Inputs(ctx, g.test, indices, pixels)
	if err != nil {
		return err
	}
	input, err := onnx.FloatTensor(g.model.Inputs()[0].Name, dims(images, shape), filled)
	if err != nil {
		return err
	}
	output, err := onnx.FloatTensor(g.model.Outputs()[0].Name, dims(images, builder.Shape{logits.K}),
		logits.Values[:images*logits.K])
	if err != nil {
		return err
	}
	return onnx.WriteTestData(dir, []*onnxpb.TensorProto{input}, []*onnxpb.TensorProto{output})
}

func dims(batch int, shape builder.Shape) []int64 {
	dims := []int64{int64(batch)}
	for _, dimension := range shape {
		dims = append(dims, int64(dimension))
	}
	return dims
}
