package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindModel(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("graphs", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"graphs/a.onnx", "graphs/b.onnx", "a.onnx"} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"a.onnx": "a.onnx",
		"b.onnx": filepath.Join("graphs", "b.onnx")} {
		if got, err := FindModel(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := FindModel("./b.onnx"); err == nil || errors.Is(err, fs.ErrPermission) {
		t.Errorf("a path is looked up in graphs/: %v", err)
	}
	if _, err := FindModel("bb.onnx"); err == nil ||
		!strings.Contains(err.Error(), `did you mean "b.onnx", "a.onnx"?`) {
		t.Errorf("nothing near is named: %v", err)
	}
	if names := GraphNames(); !slices.Equal(names, []string{"a.onnx", "b.onnx"}) {
		t.Errorf("the graphs are %q", names)
	}
}
