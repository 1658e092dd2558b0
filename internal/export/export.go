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
	"slices"
	"strconv"
	"strings"

	"slipway/builder"
	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/atomicfile"
	"slipway/internal/safetensors"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
	"slipway/train"
)

// Options are what Run may be told. Output is required.
type Options struct {
	// Output is the ONNX file; a folder of its name without .onnx goes beside it.
	Output string
	// Verify names the runtimes that must agree, of Runtimes, ForeignRuntimes and
	// OptionalRuntimes. None skips the comparison.
	Verify []string
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
	test       *dataset.Set
	answer     *train.Evaluation
	model      *onnx.Model
	bytes      []byte
	answers    []answer
}

// answer is how one runtime agreed with the trainer.
type answer struct {
	info       infer.Info
	correct    int
	comparison infer.Comparison
	speed      float64
}

// Run exports the newest whole checkpoint of the run.
func Run(ctx context.Context, run train.RunDir, options Options) error {
	say := func(format string, args ...any) {
		if options.Messages != nil {
			fmt.Fprintf(options.Messages, format+"\n", args...)
		}
	}
	checkpoint, path, damaged, err := run.Latest()
	for _, problem := range damaged {
		say("warning: %v", problem)
	}
	if err != nil {
		return err
	}
	g := &graph{name: strings.TrimSuffix(filepath.Base(options.Output), ".onnx"), checkpoint: checkpoint}
	if checkpoint.Progress.Finished == "" {
		say("note: the run of %s is not finished; exporting it as far as it is trained", path)
	}
	if g.test, err = dataset.Open(ctx, "t10k", dataset.Options{}); err != nil {
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

// evaluate asks the trainer itself.
func (g *graph) evaluate(ctx context.Context) error {
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
	record := onnx.TrainingRecord{
		DataSet: c.Config.Data, TestAccuracy: g.answer.Accuracy, TestImages: g.test.Len(),
		Epochs: c.Progress.Epochs, Seed: c.Config.Seed, ClassLabels: classLabels(g.answer.Classes),
	}
	if history := c.Progress.History; len(history) > 0 {
		record.TrainingLoss = history[len(history)-1].MeanLoss
	}
	var err error
	if record.PixelScale, record.PixelOffset, err = c.Config.PixelTransform(); err != nil {
		return err
	}
	g.model, err = onnx.FromNetwork(c.Network, c.Result(), record, onnx.Options{
		ProducerVersion: version,
		Description:     fmt.Sprintf("%s, trained by Slipway on %s", c.Network.Name(), c.Config.Data),
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

func classLabels(classes int) []string {
	labels := make([]string, classes)
	for i := range labels {
		labels[i] = strconv.Itoa(i)
	}
	return labels
}

// verify compares every runtime with the trainer, on a copy of the file.
func (g *graph) verify(ctx context.Context, options Options, say func(string, ...any)) error {
	if len(options.Verify) == 0 {
		return nil
	}
	temporary, err := os.MkdirTemp("", "slipway-export")
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer os.RemoveAll(temporary)
	path := filepath.Join(temporary, g.name+".onnx")
	if err := os.WriteFile(path, g.bytes, 0o666); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := os.Mkdir(folder(path), 0o777); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := g.writeLogits(folder(path)); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	model, err := infer.LoadModel(path)
	if err != nil {
		return err
	}
	tolerance := options.Tolerance
	if tolerance == 0 {
		tolerance = infer.DefaultTolerance
	}
	say("trainer: Accuracy = %.2f %%", 100*g.answer.Accuracy)
	var foreign []string
	for _, name := range options.Verify {
		if !slices.Contains(Runtimes(), name) {
			foreign = append(foreign, name)
			continue
		}
		a, err := g.ask(ctx, name, model, options.Worker, tolerance)
		if err != nil {
			return fmt.Errorf("verify with %s: %w", name, err)
		}
		say("%s", a.line(g.test.Len()))
		if !a.comparison.Agree() {
			return fmt.Errorf("%s does not answer as the trainer does: %s; nothing was written", name, a.comparison.Reason())
		}
		g.answers = append(g.answers, a)
	}
	if len(foreign) == 0 {
		return nil
	}
	return g.askForeign(ctx, foreign, path, tolerance, options, say)
}

// line says how the runtime agreed, over so many images.
func (a answer) line(images int) string {
	return fmt.Sprintf("%s %s (%s): Accuracy = %.2f %%, %d labels differ, largest logit difference %.3g (%.2g of the range), %.0f images/s",
		a.info.Runtime, a.info.Version, a.info.Provider, 100*float64(a.correct)/float64(images),
		a.comparison.LabelsDiffer, a.comparison.MaxAbsDiff, a.comparison.MaxRelDiff, a.speed)
}

func (g *graph) ask(ctx context.Context, name string, model *onnx.Model, worker []string, tolerance float64) (answer, error) {
	runtime, err := infer.OpenRuntime(ctx, name, model, infer.RuntimeOptions{Device: infer.DeviceCPU, Worker: worker})
	if err != nil {
		return answer{}, err
	}
	pixels, err := infer.PixelsOfModel(model)
	if err != nil {
		return answer{}, errors.Join(err, runtime.Close())
	}
	result, err := infer.Evaluate(ctx, runtime, g.test, infer.EvaluateOptions{Pixels: pixels, KeepLogits: true})
	info := runtime.Info()
	if err := errors.Join(err, runtime.Close()); err != nil {
		return answer{}, err
	}
	comparison, err := infer.Compare(g.trainerLogits(), result.Logits, tolerance)
	if err != nil {
		return answer{}, err
	}
	return answer{info: info, correct: result.Correct, comparison: comparison, speed: result.ImagesPerSecond()}, nil
}

func (g *graph) trainerLogits() infer.Logits {
	logits := infer.Logits{N: g.test.Len(), K: g.answer.Classes, Values: g.answer.Logits}
	if nodes := g.checkpoint.Network.Nodes(); nodes[len(nodes)-1].Layer.Kind() == "Softmax" {
		logits.Values = softmax(logits)
	}
	return logits
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
	if err := g.writeLogits(dir); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := g.writeTestData(dir, g.trainerLogits()); err != nil {
		return fmt.Errorf("export: %w", err)
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
	logits := g.trainerLogits()
	return safetensors.Write(filepath.Join(dir, "trainer_logits.safetensors"), &safetensors.File{
		Metadata: map[string]string{"data": g.test.Name, "model_sha256": g.digest()},
		Tensors:  []safetensors.Tensor{safetensors.NewFloat32("logits", []int{logits.N, logits.K}, logits.Values)},
	})
}

func (g *graph) digest() string {
	sum := sha256.Sum256(g.bytes)
	return hex.EncodeToString(sum[:])
}

// testImages is the number of images in the ONNX test data.
const testImages = 4

// writeTestData writes the first images and the trainer's answers to them.
func (g *graph) writeTestData(dir string, logits infer.Logits) error {
	shape := g.checkpoint.Network.Input()
	indices := make([]int, testImages)
	for i := range indices {
		indices[i] = i
	}
	pixels, err := infer.PixelsOfModel(g.model)
	if err != nil {
		return err
	}
	images := make([]float32, testImages*shape.Elements())
	if err := g.test.Fill(images, nil, indices, pixels); err != nil {
		return err
	}
	input, err := onnx.FloatTensor(g.model.Inputs()[0].Name, dims(testImages, shape), images)
	if err != nil {
		return err
	}
	output, err := onnx.FloatTensor(g.model.Outputs()[0].Name, dims(testImages, builder.Shape{logits.K}), logits.Values[:testImages*logits.K])
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
