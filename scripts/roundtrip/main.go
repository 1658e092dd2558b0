package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/onnx"
)

func floats(path string) []float32 {
	raw, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values
}

func main() {
	for _, path := range os.Args[1:] {
		model, err := onnx.Read(path)
		if err != nil {
			fmt.Println(path, err)
			continue
		}
		network, weights, err := onnx.ToNetwork(model, "")
		if err != nil {
			fmt.Println(err)
			continue
		}
		if os.Getenv("SHOW") != "" {
			fmt.Println(network)
		}
		kinds := map[string]int{}
		for _, node := range network.Nodes() {
			kinds[node.Layer.Kind()]++
		}
		stem := strings.TrimSuffix(path, ".onnx")
		facts, _ := os.ReadFile(stem + ".txt")
		images, scores := floats(stem+".images"), floats(stem+".scores")
		batch := len(images) / network.Input().Elements()
		engine, err := builder.NewEngine("native", 1)
		if err != nil {
			panic(err)
		}
		variables, err := builder.NewVariables(network, engine, weights)
		if err != nil {
			panic(err)
		}
		graph, err := network.Lower(variables, builder.LowerOptions{Batch: batch})
		if err != nil {
			fmt.Println(path, err)
			continue
		}
		copy(graph.Images(), images)
		graph.Feed()
		machine := gorgonia.NewTapeMachine(graph.Expr)
		if err := machine.RunAll(); err != nil {
			panic(err)
		}
		got := graph.Logits.Value().(*tensor.Dense).Float32s()
		low, high, diff := math.Inf(1), math.Inf(-1), 0.0
		for i, x := range scores {
			low, high = math.Min(low, float64(x)), math.Max(high, float64(x))
			diff = math.Max(diff, math.Abs(float64(x)-float64(got[i])))
		}
		fmt.Printf("%s: %.1e; learned %d; floats %d; %v; torch: %s", path, diff/(high-low), network.ParameterCount(), len(network.Tensors()), kinds, facts)
	}
}
