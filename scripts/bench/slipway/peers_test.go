package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slipway/builder"
)

// TestPeersOwnTests runs what tests the other side of the benchmarks, in Python.
func TestPeersOwnTests(t *testing.T) {
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("scripts/bench needs Python 3: %v", err)
	}
	for _, script := range []string{"../bench_peers_test.py", "../placement_test.py"} {
		if out, err := exec.Command(interpreter, "-B", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

// TestPyTorchBuildsTheNetworks builds each network on PyTorch's side, and compares the tensors.
func TestPyTorchBuildsTheNetworks(t *testing.T) {
	interpreter := withPyTorch()
	if interpreter == "" {
		t.Skip("PyTorch is in none of the environments that scripts/bench/setup-venv and with-torchvision make")
	}
	type entry struct {
		Network *builder.Network         `json:"network"`
		Tensors map[string]builder.Shape `json:"tensors"`
	}
	var entries []entry
	for _, name := range networkNames() {
		_, network, err := newSubject(name)
		if err != nil {
			t.Fatal(err)
		}
		e := entry{Network: network, Tensors: map[string]builder.Shape{}}
		for _, tensor := range network.Tensors() {
			e.Tensors[tensor.Name] = tensor.Shape
		}
		entries = append(entries, e)
	}
	raw, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "networks.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(interpreter, "-B", "../torch_graph_test.py", path).
		CombinedOutput(); err != nil {
		t.Errorf("torch_graph_test.py: %v\n%s", err, out)
	}
}

// withPyTorch is a Python that the benchmarks set up with PyTorch, empty if there is none.
func withPyTorch() string {
	for _, environment := range []string{"bench-venv", "bench-pictures-venv"} {
		interpreter := filepath.Join("../../../.cache", environment, "bin", "python")
		// The copy of the pins is written last: without it an environment is not whole.
		if _, err := os.Stat(filepath.Join("../../../.cache", environment,
			"requirements.txt")); err == nil {
			return interpreter
		}
	}
	return ""
}
