package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/safetensors"
	"slipway/train"
)

// openSet returns MNIST's training set, in the network's form. Textured: see coloured.
func openSet(ctx context.Context, network *builder.Network, textured bool) (*dataset.Set, error) {
	set, err := dataset.Open(ctx, string(dataset.Train), dataset.Options{Messages: os.Stderr})
	if err != nil {
		return nil, err
	}
	input := network.Input()
	if len(input) != 3 || input[0] != 3 {
		return set, nil
	}
	if input[1] < grey28 || input[1] != input[2] {
		return nil, fmt.Errorf(
			"network %s takes images of %d×%d; coloured ones are square, of %d pixels and more",
			network.Name(), input[1], input[2], grey28)
	}
	return coloured(set, colouredPixels/(input[1]*input[1]), input[1], textured)
}

const (
	// grey28 is the height and width of MNIST's images.
	grey28 = 28
	// colouredPixels is how many pixels coloured makes: enough images to be too many for the
	// caches, 10,240 of 32×32 and 208 of 224×224, too few to rule the peak of memory.
	colouredPixels = 10_240 * 32 * 32
)

// coloured makes count 3×side×side images of 28×28 ones: the digit, its negative and its
// transpose, enlarged by a whole number, in a black frame. They can be learned, so that a
// network on them does not die of noise.
//
// Textured images have noise over three quarters of the digit, as photographs have: on a
// plain background a channel of a normalised map is one value at most of its places, and
// where that is near 0, float32 and float64 cut it off at all of them or at none.
func coloured(grey *dataset.Set, count, side int, textured bool) (*dataset.Set, error) {
	scale := side / grey28
	digit := scale * grey28
	frame := (side - digit) / 2
	images := make([]uint8, count*3*side*side)
	for n := range count {
		from, to := grey.Image(n), images[n*3*side*side:]
		for y := range digit {
			for x := range digit {
				at := (y+frame)*side + x + frame
				value := from[y/scale*grey28+x/scale]
				to[at] = value
				to[side*side+at] = 255 - value
				to[2*side*side+at] = from[x/scale*grey28+y/scale]
			}
		}
	}
	if textured {
		noise := rand.NewPCG(1, 2)
		for i := range images {
			images[i] = images[i] - images[i]/4 + uint8(noise.Uint64()>>58)
		}
	}
	return dataset.NewSet("coloured", images, grey.Labels[:count], 3, side, side, 10)
}

// writeInputs writes what all sides start from: the network and the optimizer as
// JSON in the metadata, its initial weights, the images and labels, the order in which
// Slipway takes the images in its first epoch, and MNIST's test set if the
// network takes it.
func writeInputs(ctx context.Context, o options) error {
	if o.output == "" {
		return errors.New("inputs: -o is missing")
	}
	subject, network, err := newSubject(o.network)
	if err != nil {
		return err
	}
	set, err := openSet(ctx, network, subject.set == setNetworks)
	if err != nil {
		return err
	}
	// The order does not depend on the batch size.
	batches, err := dataset.NewBatches(set.Len(), 1, o.seed)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(network)
	if err != nil {
		return err
	}
	config, err := train.Config{Optimizer: subject.optimizer}.WithDefaults(network)
	if err != nil {
		return err
	}
	optimizer, err := json.Marshal(config.Optimizer)
	if err != nil {
		return err
	}
	order := make([]int32, 0, set.Len())
	for _, i := range batches.Order(0) {
		order = append(order, int32(i))
	}
	file := &safetensors.File{Metadata: map[string]string{
		"network": string(raw), "optimizer": string(optimizer),
	}, Tensors: []safetensors.Tensor{
		safetensors.NewUint8("data.images", []int{set.Len(), set.Channels, set.Height, set.Width},
			set.Images),
		safetensors.NewUint8("data.labels", []int{set.Len()}, set.LabelBytes()),
		safetensors.NewInt32("data.order", []int{set.Len()}, order),
	}}
	if set.Channels == 1 {
		test, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
		if err != nil {
			return err
		}
		file.Tensors = append(file.Tensors,
			safetensors.NewUint8("test.images", []int{test.Len(), test.Channels, test.Height, test.Width},
				test.Images),
			safetensors.NewUint8("test.labels", []int{test.Len()}, test.LabelBytes()))
	}
	for _, weight := range network.InitialWeights(o.seed) {
		file.Tensors = append(file.Tensors, safetensors.NewFloat32("weights."+weight.Name, weight.Shape,
			weight.Data))
	}
	return safetensors.Write(o.output, file)
}
