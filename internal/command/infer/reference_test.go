package infer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/safetensors"
)

// What is wrong with the trainer's answers is told before a runtime is opened: the library that is
// named does not matter then.
func TestADamagedReferenceIsToldFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trainer_logits.safetensors")
	err := safetensors.Write(path, &safetensors.File{
		Metadata: map[string]string{"data": "t10k"},
		Tensors: []safetensors.Tensor{safetensors.NewFloat32("logits", []int{10000, 10},
			make([]float32, 100000))},
	})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole[len(whole)/2] ^= 1
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runCommand(t, "-model", "../../../graphs/e1.onnx", "-cross-validate",
		"-reference", path, "-library", "/missing.so")
	if code != 1 || stdout != "" || !strings.Contains(stderr, path) ||
		!strings.Contains(stderr, "damaged") || strings.Contains(stderr, "missing.so") {
		t.Errorf("exit %d, printed %q and %q", code, stdout, stderr)
	}
}
