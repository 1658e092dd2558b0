package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/safetensors"
)

// openSet returns MNIST's training set, in the network's form.
func openSet(ctx context.Context, network *builder.Network) (*dataset.Set, error) {
	set, err := dataset.Open(ctx, string(dataset.Train), dataset.Options{Messages: os.Stderr})
	if err != nil {
		return nil, err
	}
	if input := network.Input(); len(input) == 3 && input[0] == 3 {
		return coloured(set, coloured32)
	}
	return set, nil
}

// coloured32 is the number of images that coloured makes: enough to be too many
// for the caches, too few to rule the peak of memory.
const coloured32 = 10_240

// coloured makes 3×32×32 images of 28×28 ones: in a black frame the digit, its
// negative and its transpose. They can be learned, so that a network on them
// does not die of noise.
func coloured(grey *dataset.Set, count int) (*dataset.Set, error) {
	const side, frame, wide = 28, 2, 32
	images := make([]uint8, count*3*wide*wide)
	for n := range count {
		from, to := grey.Image(n), images[n*3*wide*wide:]
		for y := range side {
			for x := range side {
				at := (y+frame)*wide + x + frame
				to[at] = from[y*side+x]
				to[wide*wide+at] = 255 - from[y*side+x]
				to[2*wide*wide+at] = from[x*side+y]
			}
		}
	}
	return dataset.NewSet("coloured", images, grey.Labels[:count], 3, wide, wide, 10)
}

// writeInputs writes what all sides start from: the network as JSON in the
// metadata, its initial weights, the images and labels, the order in which
// Slipway takes the images in its first epoch, and MNIST's test set if the
// network takes it.
func writeInputs(ctx context.Context, o options) error {
	if o.output == "" {
		return errors.New("inputs: -o is missing")
	}
	network, err := newNetwork(o.network)
	if err != nil {
		return err
	}
	set, err := openSet(ctx, network)
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
	order := make([]int32, 0, set.Len())
	for _, i := range batches.Order(0) {
		order = append(order, int32(i))
	}
	file := &safetensors.File{Metadata: map[string]string{"network": string(raw)}, Tensors: []safetensors.Tensor{
		safetensors.NewUint8("data.images", []int{set.Len(), set.Channels, set.Height, set.Width}, set.Images),
		safetensors.NewUint8("data.labels", []int{set.Len()}, set.LabelBytes()),
		safetensors.NewInt32("data.order", []int{set.Len()}, order),
	}}
	if set.Channels == 1 {
		test, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
		if err != nil {
			return err
		}
		file.Tensors = append(file.Tensors,
			safetensors.NewUint8("test.images", []int{test.Len(), test.Channels, test.Height, test.Width}, test.Images),
			safetensors.NewUint8("test.labels", []int{test.Len()}, test.LabelBytes()))
	}
	for _, weight := range network.InitialWeights(o.seed) {
		file.Tensors = append(file.Tensors, safetensors.NewFloat32("weights."+weight.Name, weight.Shape, weight.Data))
	}
	return safetensors.Write(o.output, file)
}
