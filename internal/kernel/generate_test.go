package kernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGeneratedAssembly generates the assembly anew and compares it with the committed files. The
// directives write to the folder above asm, so it works on a copy of both.
func TestGeneratedAssembly(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the go command")
	}
	if out, err := exec.Command("go", "list", "-C", "asm", "-mod=readonly", "-deps", ".").
		CombinedOutput(); err != nil {
		t.Skipf("the generator's modules are not at hand (run go mod download in asm): %s", out)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "asm"), os.DirFS("asm")); err != nil {
		t.Fatal(err)
	}
	directives, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(directives), "\n") {
		command, ok := strings.CutPrefix(line, "//go:generate ")
		if !ok {
			continue
		}
		c := exec.Command("go", strings.Fields(command)[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	files, err := filepath.Glob("kernels_*_amd64.*")
	if err != nil || len(files) != 4 {
		t.Fatalf("generated files %v, %v, want 4", files, err)
	}
	for _, name := range files {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate in internal/kernel", name)
		}
	}
}
