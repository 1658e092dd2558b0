// Command roundtrip writes docs/foreign-networks.md: which networks that other frameworks exported
// become networks of the builder, and whether these compute what onnxruntime computes of the files.
// scripts/roundtrip/make-roundtrip exports them and runs it.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/atomicfile"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// errUsage is of a wrong command line, which the exit status tells from a failure.
var errUsage = errors.New("-o and the folder with the exported models are needed, and nothing else")

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "roundtrip:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func run() error {
	report := flag.String("o", "", "Markdown `file` to write")
	flag.Parse()
	if *report == "" || flag.NArg() != 1 {
		return errUsage
	}
	paths, err := filepath.Glob(filepath.Join(flag.Arg(0), "*.json"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("%s holds no NAME.json; scripts/roundtrip/make-roundtrip exports the "+
			"models",
			flag.Arg(0))
	}
	var all []result
	for _, path := range paths {
		r, err := try(strings.TrimSuffix(path, ".json"))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Println(r.Network, r.Exporter, r.Asked, r.outcome())
		all = append(all, r)
	}
	return atomicfile.WriteBytes(*report, []byte(document(all)))
}

// facts are what the exporting script says of a model.
type facts struct {
	Network    string  `json:"network"`
	Framework  string  `json:"framework"`
	Exporter   string  `json:"exporter"`
	Asked      int     `json:"asked"`      // the opset that was asked for
	Opset      int     `json:"opset"`      // and the one that it is of
	Floats     int     `json:"floats"`     // tensors of float32 in the state of the framework's network
	Norms      int     `json:"norms"`      // batch normalisations
	Learned    int     `json:"learned"`    // numbers that the framework's network learns
	Difference float64 `json:"difference"` // of onnxruntime from the framework, of the range
	Error      string  `json:"error"`      // of the exporter
}

// result is what came of a model.
type result struct {
	facts
	refusal    string
	layers     int
	floats     int
	norms      int
	learned    int
	difference float64 // of the native engine from onnxruntime, of the range
}

// try reads a model as a network, and evaluates that.
func try(stem string) (result, error) {
	var r result
	raw, err := os.ReadFile(stem + ".json")
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r.facts); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, nil
	}
	model, err := onnx.Read(stem + ".onnx")
	if err != nil {
		return r, err
	}
	network, weights, err := convert.ToNetwork(model, "")
	if err != nil {
		r.refusal = strings.TrimPrefix(err.Error(), model.Path()+": as a network: ")
		return r, nil
	}
	for _, node := range network.Nodes() {
		if _, ok := node.Layer.(builder.BatchNorm); ok {
			r.norms++
		}
	}
	r.layers, r.floats, r.learned = len(network.Nodes()), len(
		network.Tensors()), network.ParameterCount()
	images, err := floats(stem + ".images")
	if err != nil {
		return r, err
	}
	want, err := floats(stem + ".scores")
	if err != nil {
		return r, err
	}
	got, err := evaluate(network, weights, images)
	if err != nil {
		return r, err
	}
	r.difference, err = difference(got, want)
	return r, err
}

func floats(path string) ([]float32, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values, nil
}

// evaluate computes images on the native engine.
func evaluate(network *builder.Network, weights builder.Weights, images []float32) ([]float32,
	error) {
	engine, err := builder.NewEngine(builder.EngineNative, 1)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	variables, err := builder.NewVariables(network, engine, weights)
	if err != nil {
		return nil, err
	}
	graph, err := network.Lower(variables, builder.LowerOptions{Batch: len(images) / network.Input().
		Elements()})
	if err != nil {
		return nil, err
	}
	machine := gorgonia.NewTapeMachine(graph.Expr)
	defer machine.Close()
	copy(graph.Images(), images)
	graph.Feed()
	if err := machine.RunAll(); err != nil {
		return nil, err
	}
	values, ok := graph.Logits.Value().(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("the logits are a %T", graph.Logits.Value())
	}
	return slices.Clone(values.Float32s()), nil
}

// difference is the largest one, as a fraction of the range of what is wanted.
func difference(got, want []float32) (float64, error) {
	if len(got) != len(want) || len(want) == 0 {
		return 0, fmt.Errorf("%d scores, and onnxruntime gives %d", len(got), len(want))
	}
	largest := 0.0
	for i := range got {
		largest = math.Max(largest, math.Abs(float64(got[i])-float64(want[i])))
	}
	return largest / (float64(slices.Max(want)) - float64(slices.Min(want))), nil
}
