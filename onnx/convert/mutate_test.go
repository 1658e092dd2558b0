package convert_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/internal/cputime"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

// mutated changes a few things of a model at random: operators, inputs, attributes, dimensions,
// opset and producer.
func mutated(source *rand.Rand, model *onnx.Model, operators []string) *onnx.Model {
	m := &onnx.Model{Proto: proto.Clone(model.Proto).(*onnxpb.ModelProto)}
	graph := m.Proto.Graph
	numbers := []int64{-1, 0, 1, 2, 3, 4, 6, 7, 1 << 20, 1 << 31, 1 << 40}
	number := func() int64 { return numbers[source.IntN(len(numbers))] }
	var names []string
	for _, tensor := range graph.Initializer {
		names = append(names, tensor.GetName())
	}
	names = append(names, graph.Input[0].GetName())
	for _, node := range graph.Node {
		names = append(names, node.Output...)
	}
	for range 1 + source.IntN(3) {
		node := graph.Node[source.IntN(len(graph.Node))]
		switch source.IntN(8) {
		case 0:
			node.OpType = proto.String(operators[source.IntN(len(operators))])
		case 1, 2:
			if len(node.Input) > 0 {
				node.Input[source.IntN(len(node.Input))] = names[source.IntN(len(names))]
			}
		case 3:
			if len(node.Attribute) > 0 {
				attribute := node.Attribute[source.IntN(len(node.Attribute))]
				if attribute.I != nil {
					attribute.I = proto.Int64(number())
				} else if len(attribute.Ints) > 0 {
					attribute.Ints[source.IntN(len(attribute.Ints))] = number()
				} else if attribute.F != nil {
					attribute.F = proto.Float32(float32(number()))
				}
			}
		case 4:
			dims := graph.Input[0].Type.GetTensorType().Shape.Dim
			dims[source.IntN(
				len(dims))].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: number()}
		case 5:
			if len(graph.Initializer) > 0 {
				tensor := graph.Initializer[source.IntN(len(graph.Initializer))]
				switch {
				case tensor.GetDataType() == int32(onnxpb.TensorProto_INT64) && len(tensor.RawData) >= 8:
					for i, v := 0, number(); i < 8; i++ {
						tensor.RawData[i] = byte(v >> (8 * i))
					}
				case len(tensor.Dims) > 1:
					i, j := source.IntN(len(tensor.Dims)), source.IntN(len(tensor.Dims))
					tensor.Dims[i], tensor.Dims[j] = tensor.Dims[j], tensor.Dims[i]
				}
			}
		case 6:
			m.Proto.OpsetImport[0].Version = proto.Int64([]int64{6, 9, 13, 18}[source.IntN(4)])
		case 7:
			m.Proto.ProducerName = proto.String([]string{convert.ProducerName, "pytorch"}[source.IntN(2)])
		}
	}
	return m
}

// No model makes ToNetwork panic or take long, and what it returns exports: models of every layer,
// changed at random.
func TestMutatedModelsAreNetworksOrRefused(t *testing.T) {
	var models []*onnx.Model
	for _, c := range builder.Cases() {
		network, err := c.Network("case")
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, export(t, network, convert.Options{}))
	}
	for i := range 40 {
		network, err := wiredAtRandom(rand.New(rand.NewPCG(11, uint64(i))))
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, export(t, network, convert.Options{}))
	}
	paths, err := filepath.Glob("../../infer/testdata/foreign/*.onnx")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d models of other frameworks: %v", len(paths), err)
	}
	for _, path := range paths {
		model, err := onnx.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, model)
	}
	var operators []string
	for _, model := range models {
		for _, node := range model.Proto.Graph.Node {
			operators = append(operators, node.GetOpType())
		}
	}
	tries, networks := 20000, 0
	if testing.Short() {
		tries = 2000
	}
	for i := range tries {
		source := rand.New(rand.NewPCG(13, uint64(i)))
		model := mutated(source, models[source.IntN(len(models))], operators)
		var network *builder.Network
		var weights builder.Weights
		begin := cputime.Used()
		err := recovered(func() error {
			var err error
			network, weights, err = convert.ToNetwork(model, "")
			return err
		})
		if took := cputime.Used() - begin; took > 5*time.Second {
			t.Errorf("model %d took %v", i, took)
		}
		if network == nil {
			if p, panicked := err.(panicking); panicked {
				t.Fatalf("model %d: %v", i, p)
			}
			continue
		}
		networks++
		if _, err := convert.FromNetwork(network, weights, onnx.TrainingRecord{},
			convert.Options{}); err != nil {
			t.Errorf("model %d does not export: %v\n%v", i, err, network)
		}
	}
	if networks < tries/20 {
		t.Errorf("%d of %d are networks; the changes are too wild", networks, tries)
	}
	t.Logf("%d of %d are networks", networks, tries)
}

type panicking struct{ value any }

func (p panicking) Error() string { return fmt.Sprint("panics: ", p.value) }

func recovered(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = panicking{value}
		}
	}()
	return f()
}
