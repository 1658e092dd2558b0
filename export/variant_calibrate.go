package export

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway/dataset"
	"slipway/infer"
	"slipway/infer/native"
	"slipway/onnx"
)

// calibrationBatch bounds the memory that all values of a batch take at once.
const calibrationBatch = 32

// calibrate measures the ranges that onnx.Quantize asks for on training images, and
// says on which. The range of the image itself is that of all pixels that there can
// be. The others are computed by the native runtime on its portable kernels, so that
// they, and the file made of them, are the same whatever the processor can do.
func calibrate(ctx context.Context, from source,
	options VariantOptions) (ranges map[string]onnx.Range, said string, err error) {
	names, err := onnx.QuantizedValues(from.model)
	if err != nil {
		return nil, "", err
	}
	pixels, err := infer.PixelsOf(from.record)
	if err != nil {
		return nil, "", err
	}
	images, err := calibrationImages(ctx, from.record, options)
	if err != nil {
		return nil, "", err
	}
	ranges = make(map[string]onnx.Range)
	input := from.model.Inputs()[0].Name
	if i := slices.Index(names, input); i >= 0 {
		if err := pixels.CheckChannels(images.Channels); err != nil {
			return nil, "", fmt.Errorf("data %s: %w", images.Name, err)
		}
		var r onnx.Range
		for channel := range images.Channels {
			table := pixels.ChannelTable(channel)
			r.Include(table[:])
		}
		ranges[input] = r
		names = slices.Delete(slices.Clone(names), i, i+1)
	}
	if len(names) > 0 {
		err = measure(ctx, from, names, images, pixels, ranges)
	}
	return ranges, fmt.Sprintf("%d images of %s, seed %d; the least and the largest value of each",
		images.Len(), images.Info().ShortName(), options.Seed), err
}

// calibrationImages draws images of the set that the model was trained on, or of the one
// given instead.
func calibrationImages(ctx context.Context, from onnx.TrainingRecord,
	options VariantOptions) (*dataset.Set, error) {
	set := options.Images
	if set == nil {
		var err error
		if set, err = openRecorded(ctx, from, from.DataSet, dataset.Train, "-calibration-data",
			options); err != nil {
			return nil, err
		}
	}
	if options.Calibration >= set.Len() {
		return set, nil
	}
	_, drawn, err := set.Split(options.Calibration, options.Seed)
	return drawn, err
}

// measure widens the ranges by the named values of the model on the images.
func measure(ctx context.Context, from source, names []string, images *dataset.Set,
	pixels dataset.Pixels, ranges map[string]onnx.Range) (err error) {
	part, err := onnx.Extract(from.model, names)
	if err != nil {
		return err
	}
	evaluator, err := native.New(ctx, part, native.Options{Outputs: names, Kernels: "portable",
		Direct: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, evaluator.Close()) }()
	port := evaluator.Inputs()[0]
	size := images.ImageSize()
	batch := min(calibrationBatch, images.Len())
	if len(port.Shape) > 0 && port.Shape[0] > 0 {
		batch = port.Shape[0]
	}
	if images.Len() < batch {
		return fmt.Errorf("%d images; the model takes batches of %d and nothing else", images.Len(),
			batch)
	}
	buffer := make([]float32, batch*size)
	for begin := 0; begin < images.Len(); begin += batch {
		// A last batch that is short is filled up with images before it.
		end := min(begin+batch, images.Len())
		indices := make([]int, batch)
		for i := range indices {
			indices[i] = end - batch + i
		}
		if err := images.Fill(buffer, nil, indices, pixels); err != nil {
			return err
		}
		outputs, err := evaluator.Run(ctx,
			map[string]*native.Tensor{port.Name: arrange(port.Shape, images, batch, buffer)})
		if err != nil {
			return err
		}
		for i, output := range outputs {
			values, ok := output.Data.([]float32)
			if !ok {
				return fmt.Errorf("the value %q is no float32 tensor", names[i])
			}
			r := ranges[names[i]]
			r.Include(values)
			ranges[names[i]] = r
		}
	}
	return nil
}

// arrange gives the images B×C×H×W the form of an input: as they are, N×H×W×C, N×H×W or
// N×F.
func arrange(input []int, images *dataset.Set, batch int, pixels []float32) *native.Tensor {
	c, h, w := images.Channels, images.Height, images.Width
	switch {
	case len(input) == 2:
		return &native.Tensor{Shape: []int{batch, c * h * w}, Data: pixels}
	case len(input) == 3:
		return &native.Tensor{Shape: []int{batch, h, w}, Data: pixels}
	case len(input) == 4 && input[3] == c && input[1] != c:
		last := make([]float32, 0, len(pixels))
		for n := range batch {
			for place := range h * w {
				for channel := range c {
					last = append(last, pixels[(n*c+channel)*h*w+place])
				}
			}
		}
		return &native.Tensor{Shape: []int{batch, h, w, c}, Data: last}
	}
	return &native.Tensor{Shape: []int{batch, c, h, w}, Data: pixels}
}
