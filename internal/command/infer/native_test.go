package infer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"slipway/infer"
)

// withoutLibrary hides every onnxruntime library that a search would find, and
// returns the small model's path.
func withoutLibrary(t *testing.T) (model string) {
	t.Helper()
	model, err := filepath.Abs(testModel("small.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	t.Setenv("HOME", empty)
	t.Setenv("XDG_CACHE_HOME", empty)
	t.Setenv(infer.LibraryVariable, "")
	t.Chdir(empty)
	library, err := infer.FindLibrary("", false)
	if errors.Is(err, infer.ErrWithoutCgo) {
		t.Skip(err)
	}
	if err == nil {
		t.Skipf("the system's loader has an onnxruntime of its own, %s: there is no falling back",
			library.Path)
	}
	return model
}

func TestNativeAnswersWhereOnnxruntimeIsMissing(t *testing.T) {
	data := smallData(t, 40)
	model := withoutLibrary(t)
	code, stdout, stderr := runCommand(t, "-model", model, "-data", data, "-json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	if d["runtime"] != "native" || d["library"] != nil || d["images"] != 40. {
		t.Errorf("%s", stdout)
	}
	const said = "the native runtime is used instead of onnxruntime"
	notes, _ := d["notes"].([]any)
	if len(notes) != 1 || !strings.Contains(notes[0].(string), said) ||
		!strings.Contains(stderr, said) || !strings.Contains(stderr, "make setup") {
		t.Errorf("notes %v, standard error %q: want both to say %q", notes, stderr, said)
	}

	// The others are compared with; what is missing is told.
	code, stdout, stderr = runCommand(t, "-model", model, "-data", data, "-json", "-cross-validate")
	d = decoded(t, stdout)
	sides := d["compared"].([]any)
	if code != 0 || len(sides) != 1 || sides[0].(map[string]any)["runtime"] != "onnx-go" ||
		!strings.Contains(stdout, "not compared: the onnxruntime library was not found") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestOnnxruntimeThatWasAskedForIsNotReplaced(t *testing.T) {
	data := smallData(t, 10)
	model := withoutLibrary(t)
	missing := filepath.Join(t.TempDir(), "libonnxruntime.so")
	for name, test := range map[string]struct{ args, env string }{
		"-runtime":    {"-runtime onnxruntime", ""},
		"-library":    {"-library " + missing, ""},
		"-device":     {"-device cuda", ""},
		"environment": {"", missing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(infer.LibraryVariable, test.env)
			code, stdout, stderr := runCommand(t, append([]string{"-model", model, "-data", data},
				strings.Fields(test.args)...)...)
			if code != 1 || stdout != "" || !strings.Contains(stderr, "onnxruntime library") ||
				!strings.Contains(stderr, "make setup") {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
		})
	}
}
