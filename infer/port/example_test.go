package port_test

import (
	"fmt"
	"log"

	"slipway/infer/port"
	"slipway/onnx"
)

func ExampleFind() {
	model, err := onnx.Read("../../graphs/e1.onnx")
	if err != nil {
		log.Fatal(err)
	}
	ports, err := port.Find(model, "")
	if err != nil {
		log.Fatal(err)
	}
	height, width := ports.Size(port.Channels(model))
	fmt.Println(ports.Input, height, width, "→", ports.Output, ports.Classes())
	// Output: image 28 28 → logits 10
}

// Logits become probabilities by a softmax; other scores are taken as what they are.
func ExampleScale_Probabilities() {
	scores := []float32{1, 1, 1, 1}
	port.OfLogits.Probabilities(scores)
	fmt.Println(scores)
	// Output: [0.25 0.25 0.25 0.25]
}

// The best classes are those of the highest scores: as float32, the probabilities of both are 1.
func ExampleBest() {
	scores := []float32{18, 20}
	order := port.Best(nil, scores, len(scores))
	port.OfIndependentLogits.Probabilities(scores)
	fmt.Println(order, scores)
	// Output: [1 0] [1 1]
}
