package torchfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/safetensors"
)

// What PyTorch saved is read in each form, to the bit: scripts/golden/torchfiles.py says what it
// is.
func TestReadsWhatPyTorchSaves(t *testing.T) {
	want, err := safetensors.Read("testdata/state.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, form string
		without    []string
	}{
		{"state.pt", FormZIP, nil},
		{"state-protocol4.pt", FormZIP, nil},
		{"state-legacy.pt", FormLegacy, []string{"uint16", "float8"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := Read(filepath.Join("testdata", test.name))
			if err != nil {
				t.Fatal(err)
			}
			if file.Form != test.form {
				t.Errorf("it is called %s, not %s", file.Form, test.form)
			}
			if have := len(want.Tensors) - len(test.without); len(file.Tensors) != have {
				t.Errorf("it has %d tensors, not %d", len(file.Tensors), have)
			}
			for _, w := range want.Tensors {
				i := slices.IndexFunc(file.Tensors,
					func(got safetensors.Tensor) bool { return got.Name == w.Name })
				if slices.Contains(test.without, w.Name) {
					continue
				}
				if i < 0 {
					t.Errorf("%s is missing", w.Name)
					continue
				}
				got := file.Tensors[i]
				if got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) ||
					!bytes.Equal(got.Data, w.Data) {
					t.Errorf("%s is %s %v %x, not %s %v %x", w.Name, got.DType, got.Shape, got.Data,
						w.DType, w.Shape, w.Data)
				}
			}
		})
	}
}

// Tensors that look at one storage row by row share its bytes.
func TestSharedStoragesAreNotCopied(t *testing.T) {
	file, err := Read("testdata/state.pt")
	if err != nil {
		t.Fatal(err)
	}
	tensor := func(name string) safetensors.Tensor {
		i := slices.IndexFunc(file.Tensors,
			func(t safetensors.Tensor) bool { return t.Name == name })
		return file.Tensors[i]
	}
	whole, part := tensor("whole"), tensor("part")
	if &whole.Data[4*4] != &part.Data[0] {
		t.Error("a part of a tensor is a copy")
	}
}

// Sums that PyTorch was told not to compute are not missed.
func TestReadsAFileWithoutSums(t *testing.T) {
	file, err := Read("testdata/without-sums.pt")
	if err != nil || len(file.Tensors) != 1 || file.Tensors[0].Name != "weight" {
		t.Errorf("%v, %v", file, err)
	}
}

// A training script's checkpoint has the names of its containers before those of the tensors.
func TestReadsACheckpoint(t *testing.T) {
	file, err := Read("testdata/checkpoint.pt")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tensor := range file.Tensors {
		names = append(names, tensor.Name)
	}
	for _, want := range []string{"state_dict.module.0.weight", "state_dict.module.1.bias",
		"optimizer.state.0.exp_avg"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	want := []string{"state_dict.", "state_dict_ema.", "optimizer.", "optimizer.state."}
	if len(file.Containers) != 8 || !slices.Equal(file.Containers[:4], want) {
		t.Errorf("its containers are %q, not %q and those of 4 parameters", file.Containers, want)
	}
}

// What a state dict does not need is refused by its name, and nothing of it is run.
func TestRefusesByName(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		says []string
	}{
		"os-system":        {ErrName, []string{`"posix.system"`, "nothing of it was run"}},
		"os-system-legacy": {ErrName, []string{`"posix.system"`}},
		"eval":             {ErrName, []string{`"builtins.eval"`}},
		"getattr":          {ErrName, []string{`"builtins.getattr"`}},
		"namespace": {ErrName, []string{`"argparse.Namespace"`,
			"torch.save(model.state_dict()"}},
		"numpy":      {ErrName, []string{`"numpy`}},
		"sparse":     {ErrName, []string{"_rebuild_sparse_tensor"}},
		"quantized":  {ErrName, []string{"_rebuild_qtensor"}},
		"complex128": {ErrName, []string{"ComplexDoubleStorage"}},
		"module":     {ErrName, []string{"torch.nn.modules.linear.Linear"}},
		"expanded": {ErrClaim, []string{"[1048576 1048576]", "has 1 elements",
			"contiguous()"}},
		"torchscript": {ErrUnsupported, []string{"TorchScript"}},
		"pickle":      {ErrFormat, []string{"not one of torch.save"}},
		"compressed":  {ErrUnsupported, []string{"is compressed"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := "testdata/refused-" + name + ".pt"
			_, err := Read(path)
			if !errors.Is(err, test.err) {
				t.Fatalf("%v is not %v", err, test.err)
			}
			for _, want := range append(test.says, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
	if _, err := os.Stat("slipway-was-here"); err == nil {
		t.Error("the file's command was run")
	}
}

// What is no regular file, and what is of another format, is said before it is read.
func TestRefusesWhatIsNoFileOfPyTorch(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("a text"), 0o666); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "not a regular file", other: "neither a ZIP archive nor a pickle",
		empty: "neither a ZIP archive nor a pickle", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}
