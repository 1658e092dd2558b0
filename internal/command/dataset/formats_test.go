package dataset

import (
	"bytes"
	"image"
	"image/color/palette"
	"image/gif"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A picture of another format than the rest is named: it may be one that says that there
// is none.
func TestShowNamesPicturesOfAnotherFormat(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "own")
	for _, name := range []string{"ant/a.png", "ant/b.png", "bee/c.png"} {
		writePicture(t, filepath.Join(dir, name), 4, 5, uint8(len(name)))
	}
	show := func() string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"show", "-data", dir, "-o", ""}, &stdout,
			&stderr); code != 0 {
			t.Fatalf("exit %d: %s", code, &stderr)
		}
		return stdout.String()
	}
	if out := show(); strings.Contains(out, "files:") {
		t.Errorf("of one format:\n%s", out)
	}
	var file bytes.Buffer
	if err := gif.Encode(&file, image.NewPaletted(image.Rect(0, 0, 5, 4), palette.Plan9),
		nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bee", "imageNotFound.jpg"), file.Bytes(),
		0o666); err != nil {
		t.Fatal(err)
	}
	if out := show(); !strings.Contains(out, "files:  3 PNG, 1 GIF (bee/imageNotFound.jpg)\n") {
		t.Errorf("with a GIF among PNGs:\n%s", out)
	}
}
