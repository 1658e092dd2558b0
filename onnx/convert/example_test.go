package convert_test

import (
	"fmt"
	"log"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// A network becomes a model, and the model the same network again.
func Example() {
	network, err := builder.New("tiny", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		log.Fatal(err)
	}
	record := onnx.TrainingRecord{DataSet: "own", ClassLabels: []string{"ant", "bee", "cat"}}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), record, convert.Options{})
	if err != nil {
		log.Fatal(err)
	}
	again, _, err := convert.ToNetwork(model, "")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Name(), again.Input(), len(again.Nodes()))
	// Output: tiny 1×6×6 2
}
