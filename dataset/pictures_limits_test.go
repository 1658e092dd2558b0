package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"slipway/dataset/picture"
)

// Six pictures of 2×3 take 36 bytes, and as many again for the copy in one piece that a set
// is. To the byte they lie in memory, with a pack of decoded pictures and without.
func TestMemoryOfPicturesAtItsLimit(t *testing.T) {
	dir := filepath.Join(pictureSet(t), "train") + "/"
	for _, cache := range []string{NoPictureCache, t.TempDir()} {
		for range 2 { // again: the pack is there
			for memory, inMemory := range map[int64]bool{72: true, 71: false} {
				source, err := OpenSource(t.Context(), dir, Options{Memory: memory,
					PictureCache: cache})
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := source.(*Set); ok != inMemory {
					t.Errorf("with %d bytes it is a %T", memory, source)
				}
			}
			opts := Options{Limit: 36, PictureCache: cache}
			if _, err := Open(t.Context(), dir, opts); err != nil {
				t.Errorf("as a set: %v", err)
			}
			opts.Limit = 35
			if _, err := Open(t.Context(), dir, opts); !errors.Is(err, ErrTooLarge) {
				t.Errorf("as a set of a byte less: %v", err)
			}
		}
	}
	for memory, inMemory := range map[int64]bool{36: true, 35: false} {
		source, err := OpenSource(t.Context(), dir, Options{Memory: memory,
			PictureCache: NoPictureCache,
			Originals:    true, Sizing: &picture.Sizing{Height: 9, Width: 9}})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := source.(*Pictures).store.(decoded); ok != inMemory {
			t.Errorf("originals with %d bytes are in memory: %t", memory, ok)
		}
	}
}

// Damaged pictures are counted, and a set of nothing else has none.
func TestCountOfDamagedPictures(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/1.png", "a/2.png", "b/1.png"} {
		writePNG(t, filepath.Join(dir, name), 2, 2, false, 1)
	}
	opts := Options{PictureCache: NoPictureCache}
	for i, name := range []string{"a/1.png", "a/2.png", "b/1.png"} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, data[:len(data)/2], 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := "(-skip-damaged leaves it out)"
		if i > 0 {
			want = fmt.Sprintf("(and %d more of 3 files; ", i)
		}
		if _, err := Open(t.Context(), dir+"/", opts); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%d damaged: %v, want %q", i+1, err, want)
		}
	}
	opts.SkipDamaged = true
	_, err := Open(t.Context(), dir+"/", opts)
	if !errors.Is(err, ErrEmpty) || !strings.Contains(err.Error(),
		"none of its 3 files could be read") {
		t.Errorf("all damaged: %v", err)
	}
}

// Heights and widths must be the same, one by one, and labels in their range.
func TestDescribePictures(t *testing.T) {
	describe := func(label int32, height, width int) (*Pictures, error) {
		list := &pictureFiles{place: "p", files: []pictureFile{{name: "a", where: "p/a"},
			{name: "b", where: "p/b", label: label}}}
		intake := newIntake(list, Options{}, 100)
		intake.facts[0] = fact{channels: 1, height: 2, width: 2}
		intake.facts[1] = fact{channels: 1, height: height, width: width}
		return intake.describe("p", []int{0, 1})
	}
	for _, size := range [][2]int{{2, 3}, {3, 2}} {
		if _, err := describe(1, size[0], size[1]); !errors.Is(err, ErrSize) {
			t.Errorf("%v beside 2×2: %v", size, err)
		}
	}
	for _, label := range []int32{2, MaxClasses - 1} {
		set, err := describe(label, 2, 2)
		if err != nil || set.info.Classes != int(label)+1 {
			t.Errorf("label %d: %+v (%v)", label, set, err)
		}
	}
	for _, label := range []int32{-1, MaxClasses} {
		if _, err := describe(label, 2, 2); !errors.Is(err, ErrLabel) ||
			!strings.Contains(err.Error(), "0 to 65535 ") {
			t.Errorf("label %d: %v", label, err)
		}
	}
}

// The room that is asked for is held against half of what is free.
func TestRoomForPictures(t *testing.T) {
	cache := pictureCache{path: filepath.Join(t.TempDir(), "inner", "x"+packSuffix)}
	if err := cache.room(1); err != nil {
		t.Error(err)
	}
	free, ok := freeBytes(filepath.Dir(cache.path))
	if !ok && runtime.GOOS == "linux" {
		t.Fatal("what is free is not told")
	}
	if !ok {
		t.Skip("what is free cannot be told here")
	}
	if err := cache.room(free - free/16); err == nil || !strings.Contains(err.Error(),
		"are free in") {
		t.Errorf("for nearly all that is free: %v", err)
	}
	blocked := filepath.Join(t.TempDir(), "file")
	writeText(t, blocked, "a file")
	cache.path = filepath.Join(blocked, "x"+packSuffix)
	if err := cache.room(1); err == nil {
		t.Error("there is room in a file")
	}
}

func TestNamesOfPacks(t *testing.T) {
	const key = "00112233445566778899aabbccddeeff"
	for name, want := range map[string]bool{
		key + packSuffix: true, key: false, strings.ToUpper(key) + packSuffix: false,
		key[2:] + packSuffix:       false,
		"x" + key[1:] + packSuffix: false, key + "00" + packSuffix: false,
	} {
		if isPackName(name) != want {
			t.Errorf("%s is the name of a pack: %t", name, !want)
		}
		if _, ok := packOfTemporary("." + name + ".0123456789abcdef.atomic-tmp"); ok != want {
			t.Errorf("%s is the name of a temporary's pack: %t", name, !want)
		}
	}
	if _, ok := packOfTemporary("." + key + ".other.0123456789abcdef.atomic-tmp"); ok {
		t.Error("another temporary is a pack's")
	}
}

// Writing a pack removes what was left long ago of any, and opening one tells that it is in use.
func TestPacksAreKeptAndRemoved(t *testing.T) {
	cache := t.TempDir()
	leave := func(digit string, age time.Duration) string {
		path := filepath.Join(cache, "."+strings.Repeat(digit,
			32)+packSuffix+".0123456789abcdef.atomic-tmp")
		writeText(t, path, "left")
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, fresh := leave("1", 2*time.Hour), leave("2", time.Minute)
	dir := filepath.Join(pictureSet(t), "train") + "/"
	for range 2 {
		if _, err := OpenSource(t.Context(), dir, Options{Memory: 1,
			PictureCache: cache}); err != nil {
			t.Fatal(err)
		}
		list, err := ListPictureCache(cache)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v (%v)", list, err)
		}
		for _, file := range list {
			if file.Leftover {
				continue
			}
			if time.Since(file.Used) > time.Hour {
				t.Errorf("it was used at %v", file.Used)
			}
			file.Bytes++
			if err := file.Remove(); err == nil {
				t.Error("a file of another size was removed")
			}
			then := time.Now().Add(-48 * time.Hour)
			if err := os.Chtimes(file.Path, then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left long ago: %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("what may still be written: %v", err)
	}
}

// An entry is refused where its picture has no size, or lies beside the pixels.
func TestEntriesOfPacks(t *testing.T) {
	entry := func(channels, height, width, offset int) packed {
		return packed{fact: fact{channels: channels, height: height, width: width},
			offset: int64(offset)}
	}
	for _, test := range []struct {
		entry packed
		end   int
		sound bool
	}{
		{entry(1, 2, 3, packHead), packHead + 6, true}, {entry(1, 2, 3, packHead), packHead + 5,
			false},
		{entry(3, 2, 3, packHead), packHead + 18, true}, {entry(3, 2, 3, packHead), packHead + 17,
			false},
		{entry(1, 1, 1, packHead), packHead + 1, true}, {entry(1, 2, 3, packHead-1), packHead + 6,
			false},
		{entry(2, 2, 3, packHead), 1 << 40, false}, {entry(0, 2, 3, packHead), 1 << 40, false},
		{entry(1, 0, 3, packHead), 1 << 40, false}, {entry(1, 2, 0, packHead), 1 << 40, false},
		{entry(1, math.MaxInt32, 1, packHead), 1 << 40, true}, {entry(1, math.MaxInt32, 2,
			packHead), 1 << 40, false},
		{entry(3, math.MaxInt32/3, 1, packHead), 1 << 40, true}, {entry(3, math.MaxInt32/3+1, 1,
			packHead), 1 << 40, false},
	} {
		encoded := appendEntry(nil, test.entry)
		entries, err := readEntries(encoded, int64(test.end))
		if test.sound != (err == nil) || err != nil && !errors.Is(err, errPack) {
			t.Errorf("%+v up to %d: %v", test.entry, test.end, err)
		}
		if err == nil && (len(entries) != 1 || entries[0].height != test.entry.height) {
			t.Errorf("%+v is read as %+v", test.entry, entries)
		}
		if _, err := readEntries(encoded[:len(encoded)-1], int64(test.end)); !errors.Is(err,
			errPack) {
			t.Errorf("an entry that is cut off: %v", err)
		}
	}
	damaged := appendEntry(nil, packed{fact: fact{damaged: io.ErrUnexpectedEOF}})
	entries, err := readEntries(damaged, 0)
	if err != nil || len(entries) != 1 ||
		entries[0].damaged.Error() != io.ErrUnexpectedEOF.Error() {
		t.Errorf("%+v (%v)", entries, err)
	}
	if _, err := readEntries(damaged[:len(damaged)-1], 0); !errors.Is(err, errPack) {
		t.Errorf("a text that is cut off: %v", err)
	}
}

// Entries that are said to begin behind themselves are refused.
func TestFootOfAPack(t *testing.T) {
	key := [32]byte{1}
	var file bytes.Buffer
	w := newPackWriter(&file, key, []fact{{channels: 1, height: 1, width: 1}})
	if err := errors.Join(w.write(0, picture.New(1, 1, 1)), w.finish()); err != nil {
		t.Fatal(err)
	}
	for by, sound := range map[int64]bool{0: true, 5: false, -1: false} {
		data := bytes.Clone(file.Bytes())
		entries := data[len(data)-packFoot+32:]
		begin := int64(len(data)-packFoot) + by
		if sound {
			begin -= packEntry
		}
		binary.LittleEndian.PutUint64(entries, uint64(begin))
		binary.LittleEndian.PutUint64(entries[8:], uint64(int64(len(data)-packFoot)-begin))
		path := filepath.Join(t.TempDir(), "x"+packSuffix)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		p, err := openPack(path, key, 1)
		if sound != (err == nil) || err != nil && !errors.Is(err, errPack) {
			t.Errorf("beginning %d bytes behind: %v", by, err)
		}
		if err == nil {
			p.file.Close()
		}
	}
}

func TestFolderOfDecodedPictures(t *testing.T) {
	user, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	for asked, want := range map[string]string{"": filepath.Join(user, "slipway", "pictures"),
		"own": "own"} {
		if got, err := PictureCacheDir(Options{PictureCache: asked}); err != nil || got != want {
			t.Errorf("%q: %s (%v), want %s", asked, got, err, want)
		}
	}
}
