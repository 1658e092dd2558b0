package pngfile

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteReplacesPNGsAlone(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.png")
	for _, width := range []int{3, 5} { // new, and over the one before
		if err := Write(path, image.NewGray(image.Rect(0, 0, width, 2))); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		config, err := png.DecodeConfig(file)
		file.Close()
		if err != nil || config.Width != width {
			t.Errorf("%d wide, want %d (%v)", config.Width, width, err)
		}
	}
	for name, content := range map[string]string{"text.png": "not to be lost", "short.png": "\x89PN"} {
		precious := filepath.Join(folder, name)
		if err := os.WriteFile(precious, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := Write(precious, image.NewGray(image.Rect(0, 0, 1, 1))); err == nil ||
			!strings.Contains(err.Error(), precious+" exists and is no PNG") {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(precious); err != nil || string(got) != content {
			t.Errorf("%s holds %q (%v)", name, got, err)
		}
	}
	if err := Write(filepath.Join(folder, "none", "a.png"),
		image.NewGray(image.Rect(0, 0, 1, 1))); err == nil {
		t.Error("a folder that is missing gives no error")
	}
}
