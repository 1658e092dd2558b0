package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/graphmaker"
	"slipway/onnx"
)

// The file and its content in memory are told of in the same words, which do not
// depend on the folder.
func TestFileAndBytes(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 1, 8, 8).Weight("w", -1, 1, 2, 1, 3, 3).
		Node("y = Conv x w").Model()
	encoded, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "made.onnx")
	if err := os.WriteFile(path, encoded, 0o666); err != nil {
		t.Fatal(err)
	}
	file, err := File(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := Bytes(t.Context(), "elsewhere/made.onnx", encoded)
	if err != nil {
		t.Fatal(err)
	}
	if file.Text() != memory.Text() {
		t.Errorf("the file:\n%s\nits bytes:\n%s", file.Text(), memory.Text())
	}
	if strings.Contains(file.Text(), filepath.Dir(path)) {
		t.Errorf("the folder is in the text:\n%s", file.Text())
	}
	a, err := file.JSON()
	if err != nil {
		t.Fatal(err)
	}
	b, err := memory.JSON()
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("JSON of the file:\n%s\nof its bytes (%v):\n%s", a, err, b)
	}
	// 6×6 outputs of 2 filters of 3×3.
	if file.Report.MultiplyAdds != 6*6*2*9 || file.Report.Parameters != 18 {
		t.Errorf("%d multiply-adds, %d parameters", file.Report.MultiplyAdds, file.Report.Parameters)
	}
	if _, err := file.Picture(); err != nil {
		t.Error(err)
	}
}

func TestNoModel(t *testing.T) {
	if _, err := Bytes(t.Context(), "text.onnx", []byte("no model")); err == nil ||
		!strings.HasPrefix(err.Error(), "text.onnx: ") {
		t.Errorf("%v", err)
	}
	if _, err := File(t.Context(), filepath.Join(t.TempDir(), "none.onnx")); err == nil {
		t.Error("a file that is not there was read")
	}
}
