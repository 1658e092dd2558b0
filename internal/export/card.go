package export

import (
	"fmt"
	"math"
	"strings"

	"slipway/infer"
	"slipway/train"
)

// card is the model card, README.md in Markdown. Every figure in it comes from
// the checkpoint, the file or the comparison.
func (g *graph) card() string {
	c := g.checkpoint
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	input := c.Network.Input()

	line("# %s.onnx", g.name)
	line("")
	line("Written by `export`; every figure comes from the run and the file. A classifier of %v images, trained in Go by", input)
	line("Slipway on Gorgonia.")
	line("")
	line("| | |")
	line("| --- | --- |")
	line("| file | `%s.onnx`, %d bytes, sha256 `%s` |", g.name, len(g.bytes), g.digest())
	line("| format | ONNX IR %d, opset %d |", g.model.IRVersion(), g.model.Opset(""))
	line("| input | `%s`, float32 [N, %s], pixels %s |", g.model.Inputs()[0].Name, strings.ReplaceAll(input.String(), "×", ", "), fedAs(c.Config.Pixels))
	line("| output | `%s`, float32 [N, %d], a score for each of the classes %s |", g.model.Outputs()[0].Name, g.answer.Classes, strings.Join(classLabels(g.answer.Classes), ", "))
	line("| training data | MNIST `%s`: Yann LeCun, Corinna Cortes, Christopher Burges; CC BY-SA 3.0 |", c.Config.Data)
	line("| protocol | %s |", protocol(c.Config))
	line("| seed, engine | %d, %s |", c.Config.Seed, c.Config.Engine)
	line("| trained | %s |", g.trained())
	line("")
	line("```")
	text.WriteString(c.Network.String())
	line("```")
	line("")
	line("![loss and accuracy by epoch](curve.svg)")
	line("")
	line("## Accuracy on the %d test images", g.test.Len())
	line("")
	line("| runtime | accuracy | labels that differ from the trainer's | largest logit difference | of the logits' range |")
	line("| --- | --- | --- | --- | --- |")
	line("| trainer (%s engine) | %.2f %% | | | |", c.Config.Engine, 100*g.answer.Accuracy)
	for _, a := range g.answers {
		line("| %s %s, %s | %.2f %% | %d | %.3g | %.2g |", a.info.Runtime, a.info.Version, a.info.Provider,
			100*float64(a.correct)/float64(g.test.Len()), a.comparison.LabelsDiffer, a.comparison.MaxAbsDiff, a.comparison.MaxRelDiff)
	}
	line("")
	line("`trainer_logits.safetensors` holds the trainer's own answers, `test_data_set_0` the first %d images and their", testImages)
	line("answers in the form of ONNX's own tests.")
	line("")
	g.usage(line)
	return text.String()
}

// trained says how far the run came.
func (g *graph) trained() string {
	progress := g.checkpoint.Progress
	text := fmt.Sprintf("%d epochs, %d steps", progress.Epochs, progress.Step)
	if history := progress.History; len(history) > 0 {
		text += fmt.Sprintf("; mean loss %.4f → %.4f", history[0].MeanLoss, history[len(history)-1].MeanLoss)
	}
	if g.finished {
		return text + "; stopped because " + progress.Finished
	}
	return text + "; **not finished**"
}

func protocol(c train.Config) string {
	text := fmt.Sprintf("batches of %d, %s with learning rate %v, cross-entropy", c.BatchSize, c.Optimizer.Name, c.Optimizer.LearningRate)
	if !c.Schedule.IsZero() {
		text += fmt.Sprintf(", schedule %v", c.Schedule)
	}
	if !c.Augmentation.IsZero() {
		text += fmt.Sprintf(", augmentation: %v", c.Augmentation)
	}
	if !c.ParameterPenalty.IsZero() {
		text += fmt.Sprintf(" + %v·Σ‖p‖₁ + %v·Σ‖p‖₂ over all parameter tensors", c.ParameterPenalty.L1, c.ParameterPenalty.L2)
	}
	for layer, penalty := range c.ActivationPenalties {
		text += fmt.Sprintf(" + %v·Σ|a| + %v·Σa² of %s", penalty.L1, penalty.L2, layer)
	}
	if c.UntilLoss > 0 {
		text += fmt.Sprintf(", until the mean loss is below %v", c.UntilLoss)
	}
	return text
}

// usage says how to run the file from Go, Python and a browser.
func (g *graph) usage(line func(string, ...any)) {
	input, output := g.model.Inputs()[0].Name, g.model.Outputs()[0].Name
	shape := strings.ReplaceAll(g.checkpoint.Network.Input().String(), "×", ", ")
	line("## Use")
	line("")
	line("On the command line: `infer -model %s.onnx -data t10k`. In Go:", g.name)
	line("")
	line("```go")
	line("model, err := infer.LoadModel(%q)", g.name+".onnx")
	line("runtime, err := infer.OpenONNXRuntime(model, infer.ONNXRuntimeOptions{})")
	line("logits, err := runtime.Run(ctx, infer.Batch{N: 1, C: %d, H: %d, W: %d, Pixels: pixels})", g.test.Channels, g.test.Height, g.test.Width)
	line("```")
	line("")
	line("In Python:")
	line("")
	line("```python")
	line("import numpy, onnxruntime")
	line("session = onnxruntime.InferenceSession(%q)", g.name+".onnx")
	line("images = numpy.zeros((1, %s), numpy.float32)  # pixels %s", shape, fedAs(g.checkpoint.Config.Pixels))
	line("(%s,) = session.run(None, {%q: images})", output, input)
	line("```")
	line("")
	line("In a browser:")
	line("")
	line("```js")
	line("import * as ort from 'onnxruntime-web';")
	line("const session = await ort.InferenceSession.create('%s.onnx');", g.name)
	line("const image = new ort.Tensor('float32', pixels, [1, %s]); // Float32Array", shape)
	line("const { %s } = await session.run({ %s: image });", output, input)
	line("```")
}

// softmax turns rows of logits into probabilities, for a graph that ends in
// Softmax.
func softmax(logits infer.Logits) []float32 {
	probabilities := make([]float32, len(logits.Values))
	for n := range logits.N {
		row := logits.Row(n)
		largest, sum := row[0], 0.0
		for _, x := range row {
			largest = max(largest, x)
		}
		for _, x := range row {
			sum += math.Exp(float64(x - largest))
		}
		for k, x := range row {
			probabilities[n*logits.K+k] = float32(math.Exp(float64(x-largest)) / sum)
		}
	}
	return probabilities
}

// fedAs says how the pixels x of 0…255 are fed.
func fedAs(pixels string) string {
	if mean, deviation, ok := strings.Cut(pixels, ","); ok {
		return fmt.Sprintf("(x/255-%s)/%s", mean, deviation)
	}
	return pixels
}
