package picture_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"slipway/builder"
	"slipway/internal/networktest"
	"slipway/onnx"
	"slipway/onnx/picture"
)

var update = flag.Bool("update", false,
	"write testdata/residual.svg anew: go test ./onnx/picture -run Residual -update")

// TestResidualNetwork holds the picture of a small residual network against testdata/residual.svg,
// which was looked at: one column, with what leads around a block upright beside it.
func TestResidualNetwork(t *testing.T) {
	got, err := picture.SVG(
		onnx.Inspect(networktest.Model(t, networktest.Residual(t, builder.Shape{3, 16, 16}, 10))))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "residual.svg")
	if *update {
		if err := os.WriteFile(golden, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the picture of a residual network has changed: look at it, and write testdata/residual.svg anew with -update")
	}
}

// TestNoDrift: in ResNet-20 the boxes of all blocks stand in two columns: the blocks' and that of
// the projections.
func TestNoDrift(t *testing.T) {
	svg, err := picture.SVG(onnx.Inspect(networktest.Model(t, networktest.ResNet20(t, 16))))
	if err != nil {
		t.Fatal(err)
	}
	columns := make(map[string]int)
	for _, title := range regexp.MustCompile(`class="title" x="([0-9.]+)"`).FindAllSubmatch(svg, -1) {
		columns[string(title[1])]++
	}
	const boxes, projections = 75, 4 // 73 nodes, input and output; two projections of two nodes
	largest, total := 0, 0
	for _, n := range columns {
		largest, total = max(largest, n), total+n
	}
	if total != boxes || largest != boxes-projections || len(columns) > 3 {
		t.Errorf("%d boxes stand at %v; want %d in one column, and the projections in one or two", total,
			columns, boxes-projections)
	}
}
