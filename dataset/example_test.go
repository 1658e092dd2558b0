package dataset_test

import (
	"context"
	"fmt"
	"log"

	"slipway/dataset"
)

// MNIST's test set is in the program.
func ExampleOpen() {
	set, err := dataset.Open(context.Background(), "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Len(), "images of", set.Channels, "×", set.Height, "×", set.Width)
	fmt.Println("the first is a", set.Label(0), "of", set.Classes, "classes")
	fmt.Println(set.Info().Authors)
	// Output:
	// 10000 images of 1 × 28 × 28
	// the first is a 7 of 10 classes
	// Yann LeCun, Corinna Cortes, Christopher Burges
}

// Images that a program has made are a set, too: N×C×H×W bytes and a label for each image.
func ExampleNewSet() {
	const height, width = 2, 2
	images := []uint8{
		255, 255, 0, 0, // bright above
		0, 0, 255, 255, // bright below
	}
	set, err := dataset.NewSet("halves", images, []int32{0, 1}, 1, height, width, 0)
	if err != nil {
		log.Fatal(err)
	}
	named, err := set.WithClassNames([]string{"above", "below"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(named.Len(), named.Classes, named.ClassNames, named.Image(1))
	// Output: 2 2 [above below] [0 0 255 255]
}

// What a set of one's own is wrong about is said.
func ExampleNewSet_wrong() {
	_, err := dataset.NewSet("halves", make([]uint8, 7), []int32{0, 1}, 1, 2, 2, 0)
	fmt.Println(err)
	// Output: halves: sizes disagree: 7 bytes are no whole number of 1×2×2 images
}

// Batches are drawn anew in each epoch, by the seed and the epoch's number alone.
func ExampleBatches() {
	batches, err := dataset.NewBatches(10, 4, 1)
	if err != nil {
		log.Fatal(err)
	}
	seen := make(map[int]bool)
	for step, indices := range batches.Epoch(0, 0) {
		fmt.Println("step", step, "takes", len(indices), "images")
		for _, i := range indices {
			seen[i] = true
		}
	}
	fmt.Println(len(seen), "of 10 were taken")
	// Output:
	// step 0 takes 4 images
	// step 1 takes 4 images
	// step 2 takes 2 images
	// 10 of 10 were taken
}

// A part of the training images is held out for validation.
func ExampleSplitSource() {
	ctx := context.Background()
	source, err := dataset.OpenSource(ctx, "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	training, validation, err := dataset.SplitSource(source, 0.1, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(training.Len(), "to train on,", validation.Len(), "to choose by")
	// Output: 9000 to train on, 1000 to choose by
}

// Inputs are what a network is fed: float32, N×C×H×W.
func ExampleInputs() {
	ctx := context.Background()
	source, err := dataset.OpenSource(ctx, "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	values, err := dataset.Inputs(ctx, source, []int{0, 1}, dataset.UnitPixels())
	if err != nil {
		log.Fatal(err)
	}
	var brightest float32
	for _, value := range values {
		brightest = max(brightest, value)
	}
	fmt.Println(len(values), "values, up to", brightest)
	// Output: 1568 values, up to 1
}
