package slipway_test

import (
	"context"
	"fmt"
	"log"

	"slipway/builder"
	"slipway/dataset"
	"slipway/export"
	"slipway/train"
)

// Example is the README's program: a network of one's own, trained on the first
// 2,000 test images for two epochs and written as ONNX.
func Example() {
	ctx := context.Background()
	net, err := builder.New("mine", builder.Shape{1, 28, 28},
		builder.Conv2D{Filters: 8, Kernel: builder.Square(5)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)},
		builder.Flatten{}, builder.Dense{Units: 10})
	check(err)
	set, err := dataset.Open(ctx, "t10k", dataset.Options{})
	check(err)
	trainer, err := train.New(net, set, train.Config{Epochs: 2, Seed: 1}, nil)
	check(err)
	defer trainer.Close()
	check(trainer.Fit(ctx, train.Callbacks{}))
	model, err := export.FromTrainer(trainer, export.ModelOptions{})
	check(err)
	check(model.Check())
	history := trainer.Progress().History
	fmt.Println(net.ParameterCount(), "parameters; the loss fell:",
		history[1].MeanLoss < history[0].MeanLoss)
	// Output: 11738 parameters; the loss fell: true
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
