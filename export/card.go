package export

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"slipway/infer"
	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/internal/document"
	"slipway/internal/inspect"
	"slipway/onnx"
	"slipway/train"
)

// Files beside a graph NAME.onnx, in the folder NAME, that Beside makes.
const (
	cardFile    = "README.md"
	inspectFile = "inspect.txt"
	pictureFile = "graph.svg"
	recordFile  = "run.json"
	curveFile   = "curve.svg"
)

// Beside makes what lies beside the graph at path and tells of it, by file name: the
// card, what inspect says, and the picture of the graph. All of it comes from the
// file and from run.json, which the export left beside it.
func Beside(ctx context.Context, path string) (map[string][]byte, error) {
	encoded, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(folder(path), recordFile))
	if err != nil {
		return nil, fmt.Errorf("%s: what its run was is not known: %w", path, err)
	}
	record := new(runRecord)
	if err := json.Unmarshal(raw, record); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(folder(path), recordFile), err)
	}
	return describe(ctx, path, encoded, record)
}

// describe makes what Beside makes of the file's content and the record.
func describe(ctx context.Context, path string, encoded []byte,
	record *runRecord) (map[string][]byte, error) {
	inspection, err := inspect.Bytes(ctx, path, encoded)
	if err != nil {
		return nil, err
	}
	svg, err := inspection.Picture()
	if err != nil {
		return nil, err
	}
	model, err := onnx.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	training, ok, err := model.TrainingRecord()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !ok || len(inspection.Report.Inputs) != 1 || len(inspection.Report.Outputs) != 1 ||
		record.Network == nil {
		return nil, fmt.Errorf("%s with its %s is no graph of export's", path, recordFile)
	}
	c := &card{file: inspection, training: training, run: record}
	return map[string][]byte{cardFile: []byte(c.markdown()), inspectFile: []byte(inspection.Text()),
		pictureFile: svg}, nil
}

// card is a model card: what of the file, of its training record, which is in it,
// and of the run it tells.
type card struct {
	file     *inspect.Inspection
	training onnx.TrainingRecord
	run      *runRecord
}

// markdown is README.md.
func (c *card) markdown() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	report, config := c.file.Report, c.run.Config
	input, output := report.Inputs[0], report.Outputs[0]
	image := c.run.Network.Input()

	line("# %s", c.file.File)
	line("")
	line("Written by `export`; every figure comes from the file, and from the run as `%s` records it. A classifier of %v images,",
		recordFile, image)
	line("trained in Go by Slipway on Gorgonia.")
	line("")
	line("| | |")
	line("| --- | --- |")
	line("| file | `%s`, %d bytes, sha256 `%s` |", c.file.File, report.Bytes, c.file.SHA256)
	line("| format | ONNX IR %d, opset %d |", report.IRVersion, opsetOf(report))
	line("| input | `%s`, float32 [%s], pixels %s |", input.Name, listDims(input), c.fedAs())
	line("| output | `%s`, float32 [%s], %s of the classes %s%s |", output.Name, listDims(output),
		c.scores(), classList(c.training.ClassLabels), c.labels())
	line("| size | %d parameters in %d bytes, %d multiply-adds an example |", report.Parameters,
		report.ParameterBytes, report.MultiplyAdds)
	line("| training data | %s |", c.trainingData())
	line("| protocol | %s |", protocol(config))
	line("| seed, engine | %d, %s |", c.training.Seed, config.Engine)
	line("| trained | %s |", c.trained())
	line("")
	line("```")
	text.WriteString(c.run.Network.String())
	line("```")
	line("")
	line("![loss and accuracy by epoch](curve.svg)")
	line("")
	c.accuracy(line)
	c.graph(line)
	c.usage(line)
	return text.String()
}

// scores says what there is for each class.
func (c *card) scores() string {
	if c.training.Probabilities == onnx.SigmoidOfScores {
		return "a score, whose sigmoid is the class's own probability whatever the others', for each"
	}
	return "a score for each"
}

// labels says what a label is of the output's classes.
func (c *card) labels() string {
	if c.training.MultiLabel() {
		return "; an image has any number of them, those whose probability is above 0.5"
	}
	return ""
}

// trainingData says what the run learned from, and of whom that is known.
func (c *card) trainingData() string {
	name := quoted(c.training.DataSet)
	known := c.run.Sets.Training
	switch {
	case known.Title != "":
		return fmt.Sprintf("%s %s: %s; %s", known.Title, name, known.Authors, known.Licence)
	case known.Licence != "":
		return fmt.Sprintf("%s; licence: %s", name, written([]string{known.Licence}))
	}
	return name
}

// accuracy says what the trainer and the other runtimes answered.
func (c *card) accuracy(line func(string, ...any)) {
	images := c.training.TestImages
	if images == 0 {
		line("## Accuracy")
		line("")
		line("Not measured: the graph was exported without a test set, and no other runtime has confirmed it.")
		line("")
		return
	}
	heading := fmt.Sprintf("## Accuracy on the %d test images", images)
	if c.training.TestSet != "" {
		heading += " of " + quoted(c.training.TestSet)
	}
	line("%s", heading)
	line("")
	accuracy, differ := "accuracy", "labels that differ from the trainer's"
	if c.training.MultiLabel() {
		line("An image is answered right where all its labels are told and no others.")
		line("")
		accuracy, differ = "subset accuracy", "images with a label that differs from the trainer's"
	}
	line("| runtime | %s | %s | largest logit difference | of the logits' range |", accuracy, differ)
	line("| --- | --- | --- | --- | --- |")
	line("| trainer (%s engine) | %.2f %% | | | |", c.run.Config.Engine, 100*c.training.TestAccuracy)
	for _, a := range c.run.Answers {
		line("| %s %s, %s | %.2f %% | %d | %.3g | %.2g |", a.Runtime, a.Version, a.Provider,
			100*float64(a.Correct)/float64(images), a.LabelsDiffer, a.MaxAbsDiff, a.MaxRelDiff)
	}
	line("")
	for _, n := range c.run.NotAsked {
		line("%s was not asked, as it does not run the graph: %s.", n.Runtime,
			display.Printable(n.Reason))
		line("")
	}
	line("`trainer_logits.safetensors` holds the trainer's own answers, `test_data_set_0` the first %d images and their",
		min(testImages, images))
	line("answers in the form of ONNX's own tests.")
	line("")
}

// graph tells of the file's graph, and of those who will not run it.
func (c *card) graph(line func(string, ...any)) {
	line("## The graph")
	line("")
	line("Each node with its shapes, parameters and multiply-adds, and what is known of %d runtimes, is in [%s](%s), which",
		len(c.file.Runtimes), inspectFile, inspectFile)
	var refusing []string
	for _, v := range c.file.Runtimes {
		if v.Expectation == infer.ExpectRefuses {
			refusing = append(refusing, v.Runtime)
		}
	}
	if len(refusing) == 0 {
		line("`inspect %s` prints. None of them is known to refuse the file.", c.file.File)
	} else {
		line("`inspect %s` prints. These refuse the file: %s.", c.file.File, strings.Join(refusing, ", "))
	}
	line("")
	line("![the graph](%s)", pictureFile)
	line("")
}

func opsetOf(report onnx.Report) int64 {
	for _, set := range report.Opsets {
		if set.Domain == "ai.onnx" {
			return set.Version
		}
	}
	return 0
}

func listDims(value onnx.Value) string {
	dims := make([]string, len(value.Dims))
	for i, dim := range value.Dims {
		dims[i] = dim.String()
	}
	return strings.Join(dims, ", ")
}

// trained says how far the run came.
func (c *card) trained() string {
	text := display.Count(c.training.Epochs, "epoch") + ", " + display.Count(c.run.Steps, "step")
	if c.run.FirstMeanLoss != nil {
		text += fmt.Sprintf("; mean loss %.4f → %.4f", *c.run.FirstMeanLoss, c.training.TrainingLoss)
	}
	if c.run.KeptEpoch > 0 {
		text += fmt.Sprintf("; the weights are those of epoch %d", c.run.KeptEpoch)
	}
	if c.run.Finished != "" {
		return text + "; stopped because " + c.run.Finished
	}
	return text + "; **not finished**"
}

func protocol(c train.Config) string {
	text := fmt.Sprintf("batches of %d, ", c.BatchSize)
	if c.Accumulate > 1 {
		text += fmt.Sprintf("%d of them a step, ", c.Accumulate)
	}
	if c.Shards > 1 {
		text += fmt.Sprintf("each dealt to %s", display.Count(c.Shards, "shard"))
		if c.BatchNorm == train.BatchNormShard {
			text += " with BatchNorm by each shard's own statistics"
		}
		text += ", "
	}
	switch c.Precision {
	case train.PrecisionTF32:
		text += fmt.Sprintf("products in %s on a GPU, ", strings.ToUpper(c.Precision))
	case train.PrecisionBF16:
		// It is not known what has computed which step: a run can go on elsewhere.
		text += "products in bfloat16 (on a CPU those of some convolutions; on a GPU activations as " +
			"well), "
	}
	text += fmt.Sprintf("%s with learning rate %v", c.Optimizer.Name, c.Optimizer.LearningRate)
	if c.Optimizer.Momentum != 0 {
		text += fmt.Sprintf(", momentum %v", c.Optimizer.Momentum)
	}
	if c.Optimizer.Nesterov {
		text += " (Nesterov)"
	}
	if c.Optimizer.WeightDecay != 0 {
		text += fmt.Sprintf(", weight decay %v", c.Optimizer.WeightDecay)
		if c.Decay == train.DecayWeights {
			text += " of weights alone"
		}
	}
	text += fmt.Sprintf(", %v", c.Loss)
	if !c.ParameterPenalty.IsZero() {
		text += fmt.Sprintf(" + %v·Σ‖p‖₁ + %v·Σ‖p‖₂ over all parameter tensors", c.ParameterPenalty.L1,
			c.ParameterPenalty.L2)
	}
	layers := make([]string, 0, len(c.ActivationPenalties))
	for layer := range c.ActivationPenalties {
		layers = append(layers, layer)
	}
	sort.Strings(layers)
	for _, layer := range layers {
		penalty := c.ActivationPenalties[layer]
		text += fmt.Sprintf(" + %v·Σ|a| + %v·Σa² of %s", penalty.L1, penalty.L2, layer)
	}
	if !c.Schedule.IsZero() {
		text += fmt.Sprintf(", schedule %v", c.Schedule)
	}
	if !c.Augmentation.IsZero() {
		text += fmt.Sprintf(", images augmented: %v", c.Augmentation)
	}
	if len(c.Freeze) > 0 {
		text += fmt.Sprintf(", frozen: %s", strings.Join(c.Freeze, ", "))
		if until := c.FineTune.FreezeUntil; until > 0 {
			text += fmt.Sprintf(" until epoch %d", until)
		}
	}
	for _, rate := range c.FineTune.Rates {
		text += fmt.Sprintf(", learning rate of %s %v", rate.Pattern, rate.LearningRate)
	}
	if c.Sampling != "" {
		text += ", sampling " + c.Sampling
	}
	if !c.Mix.IsZero() {
		text += fmt.Sprintf(", images mixed: %v", c.Mix)
	}
	if c.ClipNorm > 0 {
		text += fmt.Sprintf(", gradients clipped to a norm of %v", c.ClipNorm)
	}
	if !c.EMA.IsZero() {
		text += fmt.Sprintf(", weights averaged over the steps (%v)", c.EMA)
	}
	if c.Best != "" {
		text += fmt.Sprintf(", those of the epoch with the best %s", strings.ReplaceAll(c.Best, "-", " "))
	}
	if c.UntilLoss > 0 {
		text += fmt.Sprintf(", until the mean loss is below %v", c.UntilLoss)
	}
	return text
}

// quoted makes code of a name of anybody's in Markdown, also in a cell of a table.
func quoted(text string) string {
	return "`" + strings.NewReplacer("|", `\|`, "`", "'").Replace(display.Printable(text)) + "`"
}

// mostListed is the most classes that are listed by name.
const mostListed = 100

func classList(labels []string) string {
	if len(labels) > mostListed {
		return fmt.Sprintf("%s, … (%d, in the file's metadata)", written(labels[:3]), len(labels))
	}
	return written(labels)
}

// written makes names of anybody's fit for Markdown, of which they are no part.
func written(names []string) string {
	return document.EscapeMarkdown(strings.Join(names, ", "))
}

// testSet is what -data takes to ask the file again.
func (c *card) testSet() string {
	test := c.run.Sets.Test
	if test == nil {
		return "SET"
	}
	return test.Name
}

// usage says how to run the file from Go, Python and a browser.
func (c *card) usage(line func(string, ...any)) {
	input, output := c.file.Report.Inputs[0].Name, c.file.Report.Outputs[0].Name
	image := c.run.Network.Input()
	shape := strings.ReplaceAll(image.String(), "×", ", ")
	image3 := []int{1, 1, image.Elements()} // features are an image of one row
	if len(image) == 3 {
		image3 = image
	}
	line("## Use")
	line("")
	line("On the command line: `%s`. In Go:", cli.ShellLine("infer", "-model", c.file.File, "-data",
		c.testSet()))
	line("")
	line("```go")
	line("model, err := infer.LoadModel(%q)", c.file.File)
	line("runtime, err := infer.OpenONNXRuntime(ctx, model, infer.ONNXRuntimeOptions{})")
	line("logits, err := runtime.Run(ctx, infer.Batch{N: 1, C: %d, H: %d, W: %d, Pixels: pixels})",
		image3[0], image3[1], image3[2])
	line("```")
	line("")
	line("In Python:")
	line("")
	line("```python")
	line("import numpy, onnxruntime")
	line("session = onnxruntime.InferenceSession(%q)", c.file.File)
	line("images = numpy.zeros((1, %s), numpy.float32)  # pixels %s", shape, c.fedAs())
	line("(%s,) = session.run(None, {%q: images})", output, input)
	line("```")
	line("")
	line("In a browser:")
	line("")
	line("```js")
	line("import * as ort from 'onnxruntime-web';")
	line("const session = await ort.InferenceSession.create('%s');", c.file.File)
	line("const image = new ort.Tensor('float32', pixels, [1, %s]); // Float32Array", shape)
	line("const { %s } = await session.run({ %s: image });", output, input)
	line("```")
}

// fedAs says how the pixels x of 0…255 are fed: in a word where it is one, by the formula
// of the file's record elsewhere.
func (c *card) fedAs() string {
	text := c.run.Config.Pixels
	if text == train.PixelsRaw || text == train.PixelsUnit {
		return text
	}
	pixels, err := infer.PixelsOf(c.training)
	if err != nil {
		return text
	}
	if len(c.training.PixelScales) > 0 {
		return pixels.String() + ", a mean and a deviation for each channel"
	}
	return pixels.String()
}
