package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/atomicfile"
)

// A file that changed since it was listed is in use and stays; one that is gone is gone.
func TestRemoveCachedPictures(t *testing.T) {
	dir := t.TempDir()
	name := "00112233445566778899aabbccddeeff" + packSuffix
	path := filepath.Join(dir, name)
	listed := func() CachedPictures {
		t.Helper()
		list, err := ListPictureCache(dir)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0]
	}
	writeText(t, path, "old")
	file := listed()
	then := file.Used.Add(time.Second)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	if err := file.Remove(); err == nil || !strings.Contains(err.Error(),
		path+" was used or changed") {
		t.Errorf("used: %v", err)
	}
	file = listed()
	if file.Leftover || file.Unfinished() || file.Bytes != 3 {
		t.Errorf("%+v", file)
	}
	for range 2 { // again: it is gone
		if err := file.Remove(); err != nil {
			t.Error(err)
		}
	}
	if list, err := ListPictureCache(dir); list != nil || err != nil {
		t.Errorf("left: %v, %v", list, err)
	}
	writeText(t, filepath.Join(dir, "."+name+".0123456789abcdef.atomic-tmp"), "new")
	if file = listed(); !file.Leftover || !file.Unfinished() {
		t.Errorf("%+v", file)
	}
	if file.Used = file.Used.Add(-atomicfile.StaleAfter); file.Unfinished() {
		t.Error("an old leftover is nobody's")
	}
	if list, err := ListPictureCache(filepath.Join(dir, "none")); list != nil || err != nil {
		t.Errorf("no folder: %v, %v", list, err)
	}
}
