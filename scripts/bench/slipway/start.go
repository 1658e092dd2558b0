package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// start writes the weights from which train -from MODEL -head CLASSES -seed SEED begins to FILE,
// for PyTorch, and the network as JSON.
func start(args []string, out io.Writer) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: slipway-bench start MODEL CLASSES SEED FILE")
	}
	classes, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	seed, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	model, err := onnx.Read(args[0])
	if err != nil {
		return err
	}
	network, weights, err := convert.ToNetwork(model, "")
	if err != nil {
		return err
	}
	replaced, head, err := network.WithHead(classes, "")
	if err != nil {
		return err
	}
	if weights, err = replaced.CarryWeights(weights, seed, head); err != nil {
		return err
	}
	if err := train.WriteWeights(args[3], weights); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(map[string]any{"network": replaced, "head": head})
}
