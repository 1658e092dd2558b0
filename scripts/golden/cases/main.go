// Cases writes the cases of every layer as JSON, for layers.py: each with its settings, defaults
// filled in, its name in its network, and the shapes of its inputs, output and tensors.
//
//	go run ./scripts/golden/cases >FILE
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"slipway/builder"
)

type layerCase struct {
	Name     string          `json:"name"`
	Kind     string          `json:"kind"`
	Settings builder.Layer   `json:"settings"`
	Inputs   []builder.Shape `json:"inputs"`
	Output   builder.Shape   `json:"output"`
	Tensors  []layerTensor   `json:"tensors"`
}

type layerTensor struct {
	Name      string        `json:"name"`
	Shape     builder.Shape `json:"shape"`
	Statistic bool          `json:"statistic"`
}

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

func write() error {
	var all []layerCase
	for _, c := range builder.Cases() {
		network, err := c.Network("golden")
		if err != nil {
			return fmt.Errorf("case %v: %w", c, err)
		}
		nodes := network.Nodes()
		node := nodes[len(nodes)-2] // Flatten is the last
		one := layerCase{
			Name: c.String(), Kind: c.Layer.Kind(), Settings: node.Layer,
			Inputs: c.Inputs, Output: node.Output, Tensors: []layerTensor{},
		}
		for _, tensor := range node.Tensors {
			name := strings.TrimPrefix(tensor.Name, node.Name+".")
			one.Tensors = append(one.Tensors,
				layerTensor{name, tensor.Shape, tensor.Role == builder.Statistic})
		}
		all = append(all, one)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "\t")
	return encoder.Encode(all)
}
