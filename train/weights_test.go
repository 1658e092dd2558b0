package train

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/internal/safetensors"
)

// stateDict writes the network's initial weights with other names.
func stateDict(t *testing.T, rename func(string) string, more ...safetensors.Tensor) string {
	t.Helper()
	file := &safetensors.File{Tensors: more}
	for _, tensor := range smallNetwork(t).InitialWeights(3) {
		if name := rename(tensor.Name); name != "" {
			file.Tensors = append(file.Tensors, safetensors.NewFloat32(name, tensor.Shape, tensor.Data))
		}
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := safetensors.Write(path, file); err != nil {
		t.Fatal(err)
	}
	return path
}

// What PyTorch's wrappers put before the names is taken off.
func TestWeightsOfWrappedModules(t *testing.T) {
	network := smallNetwork(t)
	want := network.InitialWeights(3)
	for _, prefix := range []string{"", "module.", "_orig_mod.", "model.", "module._orig_mod.",
		"_orig_mod.module.model."} {
		path := stateDict(t, func(name string) string { return prefix + name })
		weights, found, err := ReadWeights(path, network)
		if err != nil || found != prefix {
			t.Errorf("%q: found %q, %v", prefix, found, err)
			continue
		}
		for i := range want {
			if weights[i].Name != want[i].Name || !slices.Equal(weights[i].Data, want[i].Data) {
				t.Errorf("%q: %s differs", prefix, want[i].Name)
			}
		}
	}
}

// What does not fit is named, whatever it is.
func TestWeightsThatDoNotFit(t *testing.T) {
	network := smallNetwork(t)
	path := stateDict(t, func(name string) string {
		if name == "fc1.bias" {
			return ""
		}
		return "module." + strings.Replace(name, "conv1", "features.0", 1)
	}, safetensors.NewFloat32("module.head.weight", []int{2, 3}, make([]float32, 6)))
	_, _, err := ReadWeights(path, network)
	for _, want := range []string{path, "the tensors are not those of network small",
		"missing: module.conv1.weight (3×1×3×3), module.conv1.bias (3), module.fc1.bias (8);",
		"module.features.0.weight (3×1×3×3)", "module.head.weight (2×3)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	path = stateDict(t, func(name string) string { return strings.ReplaceAll(name, "fc2", "other") },
		safetensors.NewFloat32("fc2.weight", []int{2, 8}, make([]float32, 16)))
	if _, _, err = ReadWeights(path, network); err == nil ||
		!strings.Contains(err.Error(), "of another shape: fc2.weight (2×8, needed is 3×8)") {
		t.Error(err)
	}
}

// Weights of the network for another number of classes are told from those that differ in more, of
// which no new classifier makes the network's.
func TestWeightsOfAnotherNumberOfClasses(t *testing.T) {
	for name, test := range map[string]struct {
		weight, bias []int
		first        []int // of fc1.weight, as in the network if nil
		classes      int   // 0 for no HeadError
	}{
		"more classes":        {[]int{7, 8}, []int{7}, nil, 7},
		"one class":           {[]int{1, 8}, []int{1}, nil, 1},
		"as a convolution":    {[]int{7, 8, 1, 1}, []int{7}, nil, 7},
		"other features":      {[]int{3, 4}, []int{3}, nil, 0},
		"both":                {[]int{7, 4}, []int{7}, nil, 0},
		"transposed":          {[]int{8, 3}, []int{3}, nil, 0},
		"no matrix":           {[]int{24}, []int{3}, nil, 0},
		"weight alone":        {[]int{7, 8}, []int{3}, nil, 0},
		"bias alone":          {[]int{3, 8}, []int{7}, nil, 0},
		"not of one mind":     {[]int{7, 8}, []int{6}, nil, 0},
		"another image, too":  {[]int{7, 8}, []int{7}, []int{8, 27}, 0},
		"another image alone": {[]int{3, 8}, []int{3}, []int{8, 27}, 0},
	} {
		shapes := map[string][]int{"fc2.weight": test.weight, "fc2.bias": test.bias}
		if test.first != nil {
			shapes["fc1.weight"] = test.first
		}
		var more []safetensors.Tensor
		for name, shape := range shapes {
			more = append(more, safetensors.NewFloat32(name, shape, make([]float32, builder.Shape(shape).
				Elements())))
		}
		path := stateDict(t, func(name string) string {
			if shapes[name] != nil {
				return ""
			}
			return name
		}, more...)
		_, _, err := ReadWeights(path, smallNetwork(t))
		if err == nil || !strings.Contains(err.Error(), "of another shape: fc") {
			t.Errorf("%s: %v", name, err)
		}
		classes := 0
		var head *HeadError
		if errors.As(err, &head) {
			classes = head.Classes
		}
		if classes != test.classes {
			t.Errorf("%s: a classifier of %d classes is told, want %d (%v)", name, classes, test.classes,
				err)
		}
	}
}

// Dimensions of 1 move no values: a bias of C×1×1 is one of C. Others do, and a transposed matrix
// is refused.
func TestWeightsOfAnotherShapeByDimensionsOf1(t *testing.T) {
	network := smallNetwork(t)
	want := network.InitialWeights(3)
	fc1, _ := want.Get("fc1.weight")
	bias, _ := want.Get("conv1.bias")
	rename := func(name string) string {
		if name == fc1.Name || name == bias.Name {
			return ""
		}
		return name
	}
	path := stateDict(t, rename,
		safetensors.NewFloat32(bias.Name, []int{bias.Shape[0], 1, 1}, bias.Data),
		safetensors.NewFloat32(fc1.Name, []int{fc1.Shape[0], fc1.Shape[1], 1, 1}, fc1.Data))
	weights, _, err := ReadWeights(path, network)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !slices.Equal(weights[i].Shape, want[i].Shape) ||
			!slices.Equal(weights[i].Data, want[i].Data) {
			t.Errorf("%s of %v is not that of the file", weights[i].Name, weights[i].Shape)
		}
	}
	path = stateDict(t, rename, safetensors.NewFloat32(bias.Name, bias.Shape, bias.Data),
		safetensors.NewFloat32(fc1.Name, []int{fc1.Shape[1], fc1.Shape[0]}, fc1.Data))
	if _, _, err = ReadWeights(path, network); err == nil ||
		!strings.Contains(err.Error(), "of another shape: fc1.weight") {
		t.Error(err)
	}
}

// A weight that is no number is not started from.
func TestWeightsThatAreNoNumbers(t *testing.T) {
	weights := smallNetwork(t).InitialWeights(3)
	weights[2].Data[5] = float32(math.NaN())
	if _, err := New(smallNetwork(t), datasettest.Bars(t, 8), Config{}, weights); err == nil ||
		!strings.Contains(err.Error(), `"fc1.weight" holds NaN at element 5`) {
		t.Error(err)
	}
}

// Damaged weights and checkpoints are errors, or train, or diverge: none panics, and what
// came of them has a picture. DAMAGED in the environment makes it more files.
func TestDamagedFilesDoNotPanic(t *testing.T) {
	count := 60
	if os.Getenv("DAMAGED") != "" {
		count = 1000
	}
	network := smallNetwork(t)
	trainer := newSmallTrainer(t, smallConfig("native"))
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	weights, checkpoint := filepath.Join(dir, "weights"), filepath.Join(dir, "checkpoint")
	if err := WriteWeights(weights, trainer.Weights()); err != nil {
		t.Fatal(err)
	}
	if err := WriteCheckpoint(checkpoint, trainer.Checkpoint()); err != nil {
		t.Fatal(err)
	}
	source := rand.New(rand.NewPCG(5, 6))
	read, trained, diverged := 0, 0, 0
	foreign := filepath.Join(dir, "foreign")
	for _, path := range []string{weights, checkpoint, foreign} {
		if path == foreign {
			writeWithoutDigest(t, path, weights)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range count {
			damaged := bytes.Clone(whole)
			switch source.IntN(3) {
			case 0: // anywhere
				for range 1 + source.IntN(8) {
					damaged[source.IntN(len(damaged))] = byte(source.IntN(256))
				}
			case 1: // in the data, which another program's state dict has no sum of
				for range 1 + source.IntN(64) {
					damaged[len(damaged)-1-source.IntN(len(damaged)/8)] ^= 1 << source.IntN(8)
				}
			case 2:
				damaged = damaged[:source.IntN(len(damaged))]
			}
			file := filepath.Join(dir, "damaged")
			if err := os.WriteFile(file, damaged, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadCheckpoint(file); err != nil && path == checkpoint &&
				!strings.Contains(err.Error(), file) {
				t.Errorf("the error does not name the file: %v", err)
			}
			initial, _, err := ReadWeights(file, network)
			if err != nil {
				continue
			}
			if path != foreign && !bytes.Equal(damaged, whole) {
				t.Errorf("%s is read with damage", path)
			}
			read++
			config := smallConfig("native")
			config.Epochs = 1
			from, err := New(network, datasettest.Bars(t, 60), config, initial)
			if err != nil {
				continue
			}
			if err := from.Fit(t.Context(), Callbacks{}); err != nil {
				diverged++
			} else {
				trained++
			}
			if _, err := from.Progress().History.SVG("damaged"); err != nil {
				t.Error(err)
			}
			from.Close()
		}
	}
	t.Logf("%d of %d were read, %d trained, %d diverged", read, 3*count, trained, diverged)
	if trained == 0 || read >= count {
		t.Errorf("%d of %d were read, %d trained: nothing is tested", read, 3*count, trained)
	}
}

// writeWithoutDigest writes the file as another program does.
func writeWithoutDigest(t *testing.T, path, from string) {
	t.Helper()
	file, err := safetensors.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	delete(file.Metadata, safetensors.DigestKey)
	var encoded bytes.Buffer
	if err := file.Encode(&encoded); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, encoded.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}
