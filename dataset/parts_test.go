package dataset

import (
	"path/filepath"
	"testing"
)

// The part to test on is called test, whatever its folder is called.
func TestThePartToTestOn(t *testing.T) {
	dir := t.TempDir()
	for _, part := range []string{"train", "val"} {
		for i, class := range []string{"ant", "bee"} {
			writePNG(t, filepath.Join(dir, part, class, "1.png"), 2, 2, false, byte(i))
		}
	}
	for _, name := range []string{":test", ":t10k"} {
		set, err := Open(t.Context(), dir+name, Options{})
		if err != nil || set.Name != filepath.Base(dir)+":t10k" && set.Name != dir+":t10k" {
			t.Errorf("%s: %v, %v", name, set, err)
		}
	}
	refused(t, dir+":val", Options{}, ErrUnknown,
		"the part to test on is "+dir+":test, whatever its folder")
	refused(t, dir+":nothing", Options{}, ErrUnknown, ":nothing")
	// A folder that is called so as a whole goes first.
	writePNG(t, filepath.Join(dir+":test", "ant", "1.png"), 2, 2, false, 1)
	writePNG(t, filepath.Join(dir+":test", "bee", "1.png"), 2, 2, false, 1)
	writePNG(t, filepath.Join(dir+":test", "cow", "1.png"), 2, 2, false, 1)
	if set, err := Open(t.Context(), dir+":test", Options{}); err != nil || set.Classes != 3 {
		t.Errorf("%v, %v", set, err)
	}
}
