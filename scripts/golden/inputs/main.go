// Inputs writes what the golden files of E1 and E2 start from, for experiments.py:
// the initial weights of both networks and the first batches of MNIST's training
// set, as Slipway draws them from a seed.
//
//	go run ./scripts/golden/inputs -seed 1 -batches 10 -o DIR
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/safetensors"
	"slipway/train"
)

func main() {
	seed := flag.Uint64("seed", 1, "seed of the weights and of the shuffle")
	batches := flag.Int("batches", 10, "number of batches, of 32 images each")
	dir := flag.String("o", ".", "folder to write to")
	flag.Parse()
	if err := write(*dir, *seed, *batches); err != nil {
		fmt.Fprintln(os.Stderr, "inputs:", err)
		os.Exit(1)
	}
}

func write(dir string, seed uint64, count int) error {
	e1, err := builder.E1(10)
	if err != nil {
		return err
	}
	e2, err := builder.E2(10, 0.5)
	if err != nil {
		return err
	}
	for _, network := range []*builder.Network{e1, e2} {
		path := filepath.Join(dir, network.Name()+"-weights.safetensors")
		if err := train.WriteWeights(path, network.InitialWeights(seed)); err != nil {
			return err
		}
	}
	return writeBatches(filepath.Join(dir, "batches.safetensors"), seed, count)
}

// writeBatches writes images, batches·32×1×28×28, and their labels.
func writeBatches(path string, seed uint64, count int) error {
	const size = 32
	set, err := dataset.Open(context.Background(), string(dataset.Train),
		dataset.Options{Messages: os.Stderr})
	if err != nil {
		return err
	}
	batches, err := dataset.NewBatches(set.Len(), size, seed)
	if err != nil {
		return err
	}
	if count < 1 || count > batches.Steps() {
		return fmt.Errorf("%d batches; an epoch has 1 to %d", count, batches.Steps())
	}
	chosen, err := set.Subset(batches.Order(0)[:count*size])
	if err != nil {
		return err
	}
	shape := []int{chosen.Len(), chosen.Channels, chosen.Height, chosen.Width}
	return safetensors.Write(path, &safetensors.File{Tensors: []safetensors.Tensor{
		safetensors.NewUint8("images", shape, chosen.Images),
		safetensors.NewUint8("labels", shape[:1], chosen.LabelBytes()),
	}})
}
