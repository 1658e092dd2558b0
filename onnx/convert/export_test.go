package convert_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

var update = flag.Bool("update", false,
	"write testdata/exports anew (then run testdata/outputs.py)")

const batch = 3

func export(t *testing.T, network *builder.Network, options convert.Options) *onnx.Model {
	t.Helper()
	record := onnx.TrainingRecord{DataSet: "none", Seed: 1}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), record, options)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// exampleInput returns a batch of values in −2…2, the same every time.
func exampleInput(t *testing.T, model *onnx.Model) *onnxpb.TensorProto {
	t.Helper()
	value := model.Inputs()[0]
	dims, elements := []int64{batch}, int64(batch)
	for _, dim := range value.Dims[1:] {
		dims = append(dims, dim.Size)
		elements *= dim.Size
	}
	source := rand.New(rand.NewPCG(1, 2))
	data := make([]float32, elements)
	for i := range data {
		data[i] = float32(source.Float64()*4 - 2)
	}
	tensor, err := onnx.FloatTensor(value.Name, dims, data)
	if err != nil {
		t.Fatal(err)
	}
	return tensor
}

// A record that scales each channel is of images with as many.
func TestChannelsOfTheRecord(t *testing.T) {
	network := networks(t)["conv"]
	if network == nil || network.Input()[0] != 1 {
		t.Fatalf("the network takes images of one channel: %v", network)
	}
	for scales, want := range map[int]string{0: "", 1: "",
		3: "pixels are scaled by 3 numbers, one for each channel, and the network conv takes images 1×7×7"} {
		record := onnx.TrainingRecord{DataSet: "none", Seed: 1}
		for range scales {
			record.PixelScales, record.PixelOffsets = append(record.PixelScales,
				0.5), append(record.PixelOffsets, 1)
		}
		_, err := convert.FromNetwork(network, network.InitialWeights(1), record, convert.Options{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d scales: %v, want %q", scales, err, want)
		}
	}
}

// The committed models are held against ONNX's checker, its shape inference and
// onnxruntime by testdata/outputs.py; an export of the same bytes is as good.
func TestExportsAreTheCommittedOnes(t *testing.T) {
	for name, network := range networks(t) {
		t.Run(name, func(t *testing.T) {
			model := export(t, network, convert.Options{})
			got, err := onnx.Encode(model)
			if err != nil {
				t.Fatal(err)
			}
			folder := filepath.Join("testdata", "exports", name)
			path := filepath.Join(folder, "model.onnx")
			if *update {
				if err := os.MkdirAll(folder, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := model.Write(path); err != nil {
					t.Fatal(err)
				}
				input := exampleInput(t, model)
				// outputs.py replaces the output.
				if err := onnx.WriteTestData(folder, []*onnxpb.TensorProto{input},
					[]*onnxpb.TensorProto{input}); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf(
					"the export of %s is not that of testdata; if it should change, run go test ./onnx -update and testdata/outputs.py",
					name)
			}
		})
	}
}

func TestReadBackGivesTheSame(t *testing.T) {
	for name, network := range networks(t) {
		t.Run(name, func(t *testing.T) {
			model := export(t, network, convert.Options{ProducerVersion: "1.2.3"})
			path := filepath.Join(t.TempDir(), "model.onnx")
			if err := model.Write(path); err != nil {
				t.Fatal(err)
			}
			read, err := onnx.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := read.Check(); err != nil {
				t.Fatal(err)
			}
			weights, err := convert.WeightsFor(network, read)
			if err != nil {
				t.Fatal(err)
			}
			if want := network.InitialWeights(1); !reflect.DeepEqual(weights, want) {
				t.Errorf("weights read back differ")
			}
			first, err := onnx.Encode(model)
			if err != nil {
				t.Fatal(err)
			}
			second, err := onnx.Encode(read)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, second) {
				t.Errorf("encoding what was read gives other bytes")
			}
		})
	}
}

func TestInterface(t *testing.T) {
	network, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		options       convert.Options
		input, output string
	}{
		{convert.Options{}, "image float[N×1×28×28]", "logits float[N×10]"},
		{convert.Options{FixedBatch: 100}, "image float[100×1×28×28]", "logits float[100×10]"},
	} {
		model := export(t, network, test.options)
		input, output := model.Inputs()[0], model.Outputs()[0]
		if got := input.Name + " " + input.String(); got != test.input || len(model.Inputs()) != 1 {
			t.Errorf("input %s, want %s", got, test.input)
		}
		if got := output.Name + " " + output.String(); got != test.output || len(model.Outputs()) != 1 {
			t.Errorf("output %s, want %s", got, test.output)
		}
		if model.IRVersion() != 7 || model.Opset("") != 13 {
			t.Errorf("IR %d, opset %d; want 7 and 13", model.IRVersion(), model.Opset(""))
		}
		for _, node := range model.Proto.GetGraph().GetNode() {
			if node.GetOpType() == "Dropout" {
				t.Error("dropout is in the exported graph")
			}
			for _, attribute := range node.GetAttribute() {
				if node.GetOpType() == "MaxPool" && attribute.GetName() == "dilations" {
					t.Error("MaxPool has dilations, which onnx-go refuses")
				}
			}
		}
	}
}

// proto2 keeps a zero that is written; some runtimes refuse a file without it.
func TestZeroAttributesAreWritten(t *testing.T) {
	data, err := onnx.Encode(export(t, networks(t)["dense"], convert.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	// transA, i = 0 (field 3, varint), type = INT (field 20, 2).
	if !bytes.Contains(data, []byte("\x0a\x06transA\x18\x00\xa0\x01\x02")) {
		t.Error("transA = 0 is not in the file")
	}
}

func TestExportRefuses(t *testing.T) {
	network := networks(t)["dense"]
	weights := network.InitialWeights(1)
	for _, test := range []struct {
		name    string
		weights builder.Weights
		record  onnx.TrainingRecord
		options convert.Options
		want    string
	}{
		{"missing weight", weights[:1], onnx.TrainingRecord{}, convert.Options{},
			`"fc1.bias" is missing`},
		{"negative batch", weights, onnx.TrainingRecord{}, convert.Options{FixedBatch: -1},
			"batch is fixed to -1"},
		{"labels", weights, onnx.TrainingRecord{ClassLabels: []string{"a"}}, convert.Options{},
			"1 class labels"},
		{"accuracy", weights, onnx.TrainingRecord{TestAccuracy: 98.5}, convert.Options{}, "a share, 0…1"},
		{"reserved key", weights, onnx.TrainingRecord{},
			convert.Options{Metadata: map[string]string{"slipway.seed": "1"}},
			"kept for the training record"},
		{"empty key", weights, onnx.TrainingRecord{},
			convert.Options{Metadata: map[string]string{"": "1"}}, "key is empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := convert.FromNetwork(network, test.weights, test.record, test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	if _, err := convert.FromNetwork(nil, nil, onnx.TrainingRecord{}, convert.Options{}); err == nil {
		t.Error("no network was accepted")
	}
}

func TestTrainingRecord(t *testing.T) {
	network := networks(t)["lenet"]
	want := onnx.TrainingRecord{
		DataSet: "mnist", TestAccuracy: 0.9858, TestImages: 10000, TrainingLoss: 0.0312345678, Epochs: 10,
		Seed: 1<<64 - 1, ClassLabels: []string{"0", "one", "zwei,drei", "„4“"}, PixelScale: 1.0 / 255,
		PixelOffset: -0.5,
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(2), want,
		convert.Options{Metadata: map[string]string{"licence": "CC0"}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	read, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	got, ok, err := read.TrainingRecord()
	if err != nil || !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("read back %+v, %v, %v; want %+v", got, ok, err, want)
	}
	if read.Metadata()["licence"] != "CC0" {
		t.Error("metadata of one's own is lost")
	}

	metadata := read.Metadata()
	metadata["slipway.epochs"] = "ten"
	if err := read.SetMetadata(metadata); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read.TrainingRecord(); err == nil ||
		!strings.Contains(err.Error(), `slipway.epochs is "ten"`) {
		t.Errorf("a damaged record gives %v", err)
	}
	if err := read.SetMetadata(nil); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := read.TrainingRecord(); ok || err != nil {
		t.Errorf("no record gives %v, %v", ok, err)
	}
}

func TestPixelsAreUnscaledByDefault(t *testing.T) {
	record, _, err := export(t, networks(t)["dense"], convert.Options{}).TrainingRecord()
	if err != nil || record.PixelScale != 1 || record.PixelOffset != 0 {
		t.Errorf("scale %v, offset %v, %v; want 1, 0", record.PixelScale, record.PixelOffset, err)
	}
}

// With BatchNormalization a graph is of opset 15, where all runtimes take it as evaluation does.
func TestVersionsWithBatchNormalization(t *testing.T) {
	normalised, err := builder.New("normalised", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 2, Kernel: builder.Size{Height: 3, Width: 3}}, builder.BatchNorm{},
		builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	model := export(t, normalised, convert.Options{})
	if model.IRVersion() != 8 || model.Opset("") != 15 {
		t.Errorf("IR %d, opset %d; want 8 and 15", model.IRVersion(), model.Opset(""))
	}
}
