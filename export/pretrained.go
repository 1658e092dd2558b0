package export

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"slipway/dataset"
	"slipway/internal/random"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/pretrained"
	"slipway/train"
)

// generatedImages is how many images a pretrained network is judged on where no set is named.
const generatedImages = 16

// Pretrained exports a network that was learned elsewhere as it is. Its record says how it is fed,
// what its classes are called and whose it is, and nothing of an accuracy: that is not measured
// here. The runtimes of the options must agree with the trainer on the images of options.Test,
// whose labels are not asked, or on generated ones where it is nil. The model alone is written,
// without a card.
func Pretrained(ctx context.Context, model *pretrained.Model, options Options) error {
	say := func(format string, args ...any) {
		if options.Messages != nil {
			fmt.Fprintf(options.Messages, format+"\n", args...)
		}
	}
	if err := mayReplace(options.Output); err != nil {
		return err
	}
	config, err := train.Config{Pixels: model.Pixels}.WithDefaults(model.Network)
	if err != nil {
		return err
	}
	g := &graph{
		name: strings.TrimSuffix(filepath.Base(options.Output), ".onnx"),
		checkpoint: &train.Checkpoint{Network: model.Network, Config: config,
			Weights: model.Weights},
		test: options.Test, unlabelled: true,
	}
	if g.test == nil {
		if g.test, err = generated(model); err != nil {
			return err
		}
	}
	info := g.test.Info()
	g.sets.Test = &info
	if err := g.encodePretrained(model, options.ProducerVersion); err != nil {
		return err
	}
	if len(options.Verify) > 0 {
		say("judged on %s", info)
		if err := g.evaluate(ctx); err != nil {
			return err
		}
	}
	if err := g.verify(ctx, options, say); err != nil {
		return err
	}
	if err := g.model.Write(options.Output); err != nil {
		return err
	}
	say("wrote %s (%d bytes)", options.Output, len(g.bytes))
	return nil
}

// encodePretrained makes the model.
func (g *graph) encodePretrained(model *pretrained.Model, version string) error {
	record := onnx.TrainingRecord{
		Elsewhere: true,
		DataSet:   model.DataSet, Attribution: model.Attribution, Licence: model.Licence,
		Sizing: model.Sizing.String(), ClassLabels: model.ClassNames,
	}
	if err := setPixels(&record, g.checkpoint.Config); err != nil {
		return err
	}
	var err error
	g.model, err = convert.FromNetwork(model.Network, model.Weights, record, convert.Options{
		ProducerVersion: version,
		Description: fmt.Sprintf("%s, learned elsewhere on %s", model.Network.Name(),
			model.DataSet),
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

// generated are images of squares of chance colours and sizes, which networks answer more
// differently than they do noise.
func generated(model *pretrained.Model) (*dataset.Set, error) {
	shape := model.Network.Input()
	if len(shape) != 3 {
		return nil, fmt.Errorf("export: network %s takes no images; name a set with -data",
			model.Name)
	}
	stream := random.New(0, "generated images")
	channels, height, width := shape[0], shape[1], shape[2]
	images := make([]uint8, generatedImages*shape.Elements())
	for i := range generatedImages * channels {
		plane := images[i*height*width : (i+1)*height*width]
		for range 2 * generatedImages {
			colour := uint8(stream.IntN(256))
			top, left := stream.IntN(height), stream.IntN(width)
			bottom, right := min(height, top+1+stream.IntN(height)), min(width,
				left+1+stream.IntN(width))
			for y := top; y < bottom; y++ {
				for x := left; x < right; x++ {
					plane[y*width+x] = colour
				}
			}
		}
	}
	labels := make([]int32, generatedImages)
	return dataset.NewSet("generated images", images, labels, channels, height, width,
		len(model.ClassNames))
}
