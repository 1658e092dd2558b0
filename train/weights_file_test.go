package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/safetensors"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// linear is the network of scripts/golden/torchfiles.py's files of weights: two dense layers
// called 0 and 1.
func linear(t *testing.T) *builder.Network {
	t.Helper()
	network, err := builder.New("linear", builder.Shape{2}, builder.Dense{Name: "0", Units: 3},
		builder.Dense{Name: "1", Units: 2})
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// The same weights come out of every file that PyTorch wrote them into, told by its content; what
// was taken off, left out, widened or rounded is said.
func TestWeightsOfPyTorchsFiles(t *testing.T) {
	network := linear(t)
	want, err := LoadWeights("testdata/torchfiles/state.safetensors", network)
	if err != nil || want.Prefix != "" || len(want.Notes) > 0 {
		t.Fatal(want, err)
	}
	for name, test := range map[string]struct {
		prefix string
		notes  []string
		within float32 // of the weights
	}{
		"state.pt":        {},
		"state-legacy.pt": {},
		"checkpoint.pt": {"state_dict.module.", []string{
			`the names in PATH begin with "state_dict.module.", which is left out`,
			"PATH has 13 tensors more in state_dict_ema, optimizer, which are left out"}, 0},
		"float16.pt": {"", []string{"4 tensors of PATH are of float16, and widened to float32"},
			1e-3},
		"bfloat16.pt": {"", []string{"4 tensors of PATH are of bfloat16, and widened to float32"},
			1e-2},
		"float64.pt": {"model.",
			[]string{`the names in PATH begin with "model.", which is left out`,
				"4 tensors of PATH are of float64, and rounded to float32"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", "torchfiles", name))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "weights") // a name that says nothing
			if err := os.WriteFile(path, raw, 0o666); err != nil {
				t.Fatal(err)
			}
			got, err := LoadWeights(path, network)
			if err != nil {
				t.Fatal(err)
			}
			for i, note := range test.notes {
				test.notes[i] = strings.ReplaceAll(note, "PATH", path)
			}
			if got.Prefix != test.prefix || !slices.Equal(got.Notes, test.notes) {
				t.Errorf("prefix %q, notes %q; want %q, %q", got.Prefix, got.Notes, test.prefix,
					test.notes)
			}
			for i, tensor := range want.Weights {
				for j, value := range tensor.Data {
					if difference := got.Weights[i].Data[j] - value; difference > test.within ||
						-difference > test.within {
						t.Errorf("%s[%d] is %v, not %v", tensor.Name, j, got.Weights[i].Data[j],
							value)
					}
				}
			}
		})
	}
}

// What does not fit is named, and what asks for Python's functions is refused by name.
func TestFilesOfPyTorchThatDoNotFit(t *testing.T) {
	for path, wants := range map[string][]string{
		"testdata/torchfiles/checkpoint.pt": {"missing: conv1.weight " +
			"(3×1×3×3)", "unexpected: "},
		"../internal/torchfile/testdata/refused-os-system.pt": {`"posix.system"`,
			"nothing of it was run"},
		"../internal/torchfile/testdata/refused-os-system-legacy.pt": {`"posix.system"`},
	} {
		_, err := LoadWeights(path, smallNetwork(t))
		for _, want := range append(wants, path) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q: %v", path, want, err)
			}
		}
	}
}

// An ONNX model's initializers are weights by their names; others in it are not asked for.
func TestWeightsOfAnONNXModel(t *testing.T) {
	network := smallNetwork(t)
	want := network.InitialWeights(3)
	model, err := convert.FromNetwork(network, want, onnx.TrainingRecord{DataSet: "bars"},
		convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	half, err := onnx.ToFloat16(model)
	if err != nil {
		t.Fatal(err)
	}
	for name, model := range map[string]*onnx.Model{"float32": model, "float16": half} {
		path := filepath.Join(t.TempDir(), "weights")
		if err := model.Write(path); err != nil {
			t.Fatal(err)
		}
		got, err := LoadWeights(path, network)
		if err != nil {
			t.Fatal(name, err)
		}
		if said := strings.Join(got.Notes, "\n"); strings.Contains(said,
			" of float16, and widened") != (name == "float16") {
			t.Errorf("%s: it is said that %s", name, said)
		}
		for i, tensor := range want {
			for j, value := range tensor.Data {
				difference := got.Weights[i].Data[j] - value
				if name == "float32" && difference != 0 || difference > 1e-3 || difference < -1e-3 {
					t.Errorf("%s: %s[%d] is %v, not %v", name, tensor.Name, j,
						got.Weights[i].Data[j], value)
				}
			}
		}
		e1, err := builder.E1(10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := LoadWeights(path, e1); err == nil || !strings.Contains(err.Error(),
			"of another shape: conv1.weight") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: of another network: %v", name, err)
		}
	}
}

// Of a file that is not read it is said what is, and what it looks like.
func TestFilesThatAreNoWeights(t *testing.T) {
	for content, says := range map[string]string{
		"\x89HDF\r\n\x1a\nand so on": "HDF5, as Keras writes it", "\x93NUMPY\x01\x00v\x00{": "NumPy",
		"version https://git-lfs.github.com/spec/v1": "git lfs pull",
		"<!DOCTYPE html><html>":                      "a page of the web",
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03":   "gzip",
		"\x01\x02\x03\x04\x05\x06\x07\x0b\x09":       "begins with the bytes 01 02 03 04 05 06 07 0b",
	} {
		path := filepath.Join(t.TempDir(), "weights")
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := LoadWeights(path, smallNetwork(t))
		for _, want := range []string{says, path, "safetensors, PyTorch's own (.pt, .pth) and ONNX"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: the error lacks %q: %v", content, want, err)
			}
		}
	}
}

// Integers are no weights.
func TestWeightsOfIntegers(t *testing.T) {
	path := stateDict(t, func(name string) string {
		if name == "fc2.bias" {
			return ""
		}
		return name
	}, safetensors.NewInt64("fc2.bias", []int{3}, []int64{1, 2, 3}))
	if _, err := LoadWeights(path, smallNetwork(t)); err == nil || !strings.Contains(err.Error(),
		`"fc2.bias"`) {
		t.Error(err)
	}
}
