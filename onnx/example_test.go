package onnx_test

import (
	"fmt"
	"log"
	"slices"

	"slipway/onnx"
)

// graph is the repository's first graph.
const graph = "../graphs/e1.onnx"

func read() *onnx.Model {
	model, err := onnx.Read(graph)
	if err != nil {
		log.Fatal(err)
	}
	return model
}

// A file is read within bounds, and checked before anything runs it.
func ExampleRead() {
	model, err := onnx.Read(graph)
	if err != nil {
		log.Fatal(err)
	}
	if err := model.Check(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(model.GraphName(), "opset", model.Opset(""), "takes", model.Inputs()[0], "gives",
		model.Outputs()[0])
	// Output: e1 opset 13 takes float[N×1×28×28] gives float[N×10]
}

// What is in a file, without running it.
func ExampleInspect() {
	report := onnx.Inspect(read())
	fmt.Println(report.Parameters, "parameters,", report.MultiplyAdds, "multiply-adds an image")
	for _, node := range report.Nodes[:3] {
		fmt.Println(node.Operator)
	}
	// Output:
	// 184586 parameters, 3869952 multiply-adds an image
	// Conv
	// Relu
	// MaxPool
}

// The record says how the network wants its images, and what the trainer measured.
func ExampleModel_TrainingRecord() {
	record, found, err := read().TrainingRecord()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found, record.DataSet, record.TestImages, record.TestAccuracy > 0.97)
	// Output: true train 10000 true
}

// Metadata of one's own lies beside the record.
func ExampleModel_SetMetadata() {
	model := read()
	metadata := model.Metadata()
	metadata["shop"] = "12"
	if err := model.SetMetadata(metadata); err != nil {
		log.Fatal(err)
	}
	_, recorded, err := model.TrainingRecord()
	fmt.Println(model.Metadata()["shop"], recorded, err)
	// Output: 12 true <nil>
}

// Half the bytes: weights as float16, that are computed with as float32.
func ExampleToFloat16() {
	model := read()
	small, err := onnx.ToFloat16(model)
	if err != nil {
		log.Fatal(err)
	}
	whole, err := onnx.Encode(model)
	if err != nil {
		log.Fatal(err)
	}
	half, err := onnx.Encode(small)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f times smaller\n", float64(len(whole))/float64(len(half)))
	// Output: 2.0 times smaller
}

// A variant takes bytes and gives probabilities, of one image at a time.
func ExampleReform() {
	model, err := onnx.Reform(read(), onnx.Form{Batch: 1, Softmax: true, Bytes: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(model.Inputs()[0], "→", model.Outputs()[0])
	// Output: uint8[1×28×28×1] → float[1×10]
}

// A graph is cut at any value: what comes before it is a model of its own.
func ExampleExtract() {
	model := read()
	nodes := onnx.Inspect(model).Nodes
	flat := nodes[slices.IndexFunc(nodes, func(n onnx.NodeReport) bool {
		return n.Operator == "Flatten"
	})]
	features, err := onnx.Extract(model, []string{flat.Outputs[0].Name})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(features.Outputs()[0].Name, "of", len(onnx.Inspect(features).Nodes), "nodes of",
		len(nodes))
	// Output: flatten.output of 7 nodes of 10
}
