package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// membersOf lists an archive's members in order.
func membersOf(t *testing.T, path string) (names []string, content map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content = make(map[string]string)
	for r := tar.NewReader(f); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, content
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names, content[header.Name] = append(names, header.Name), string(data)
	}
}

// Pictures are packed as they are, under their names, and are the same set again.
func TestPackPictures(t *testing.T) {
	dir := pictureSet(t)
	writeText(t, filepath.Join(dir, "train", "LICENSE"), "CC0 1.0\n")
	want, err := Open(t.Context(), dir+":train", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i := range archives {
		path := filepath.Join(t.TempDir(), "out.tar")
		packed, err := PackTar(t.Context(), path, dir+":train", Options{})
		if err != nil || packed.Images != 6 || packed.Classes != 3 || packed.LeftOut != 0 ||
			!slices.Equal(packed.Files, []string{path}) {
			t.Fatalf("%v: %+v", err, packed)
		}
		names, content := membersOf(t, path)
		if !slices.Equal(names[:4], []string{"__set__/labels.txt", "__set__/LICENSE",
			"Wasp ü/a.png", "Wasp ü/a.cls"}) || content["bee/b.cls"] != "2" {
			t.Errorf("members %q", names)
		}
		for _, name := range want.Files {
			if original, err := os.ReadFile(filepath.Join(dir, "train", name)); err != nil ||
				string(original) != content[name] {
				t.Errorf("%s is not as it was (%v)", name, err)
			}
		}
		var messages bytes.Buffer
		set, err := Open(t.Context(), path, Options{Messages: &messages})
		if err != nil || messages.Len() != 0 {
			t.Fatalf("%v, told: %s", err, messages.String())
		}
		if !sameImages(set, want) || !slices.Equal(set.Files, want.Files) ||
			!slices.Equal(set.ClassNames, want.ClassNames) || set.Licence != want.Licence {
			t.Errorf("files %q of %q, licence %q", set.Files, set.ClassNames, set.Licence)
		}
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same set gave other bytes")
	}
}

// Names that are no keys of samples become numbers.
func TestPackNames(t *testing.T) {
	for _, names := range [][]string{{"a.b.png", "c.png"}, {"x.png", "x.PNG"}, {"x", "y"}} {
		dir := t.TempDir()
		for i, name := range names {
			writePNG(t, filepath.Join(dir, "ant", name), 2, 2, false, uint8(i))
		}
		path := filepath.Join(t.TempDir(), "out.tar")
		if _, err := PackTar(t.Context(), path, dir, Options{}); err != nil {
			t.Fatal(err)
		}
		if got, _ := membersOf(t, path); !slices.Equal(got, []string{"__set__/labels.txt",
			"000000.png", "000000.cls", "000001.png", "000001.cls"}) {
			t.Errorf("of %q: %q", names, got)
		}
		if set, err := Open(t.Context(), path, Options{}); err != nil || set.Len() != 2 ||
			!slices.Equal(set.ClassNames, []string{"ant"}) {
			t.Errorf("of %q: %v: %v", names, err, set)
		}
	}
}

// Pictures of several sizes are packed as they are, those that are damaged are not.
func TestPackOddPictures(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "ant", "1.png"), 2, 2, false, 1)
	writePNG(t, filepath.Join(dir, "ant", "2.png"), 5, 3, true, 1)
	path := filepath.Join(t.TempDir(), "out.tar")
	if packed, err := PackTar(t.Context(), path, dir, Options{}); err != nil || packed.Images != 2 {
		t.Fatalf("%v: %v", err, packed)
	}
	odd := filepath.Join(dir, "ant", "3.png")
	writeText(t, odd, "no picture")
	again := filepath.Join(t.TempDir(), "out.tar")
	if _, err := PackTar(t.Context(), again, dir, Options{}); err == nil ||
		!strings.Contains(err.Error(), odd) || !strings.Contains(err.Error(), "-skip-damaged") {
		t.Errorf("a damaged picture: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(again)); err != nil || len(left) != 0 {
		t.Errorf("a failed pack left %v (%v)", left, err)
	}
	var messages bytes.Buffer
	if packed, err := PackTar(t.Context(), again, dir, Options{SkipDamaged: true,
		Messages: &messages}); err != nil || packed.Images != 2 || packed.LeftOut != 1 ||
		!strings.Contains(messages.String(), odd) {
		t.Errorf("left out: %v: %v, %s", err, packed, messages.String())
	}
}

// Sets without pictures become PNGs that lose nothing, and IDX files.
func TestPackArrays(t *testing.T) {
	for _, channels := range []int{1, 3, 2} {
		dir := t.TempDir()
		images := make([]uint8, 300*channels*4*5)
		labels := make([]int32, 300)
		for i := range images {
			images[i] = uint8(i * 37)
		}
		for i := range labels {
			labels[i] = int32(i)
		}
		want, err := NewSet("own", images, labels, channels, 4, 5, 0)
		if err != nil {
			t.Fatal(err)
		}
		want.ClassNames = LabelsOf(nil, 300)
		files, err := idxFiles(dir, want)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			var b bytes.Buffer
			if err := file.write(&b); err != nil {
				t.Fatal(err)
			}
			writeText(t, file.path, b.String())
		}
		set, err := Open(t.Context(), dir, Options{})
		if err != nil || !sameImages(set, want) || set.Channels != channels ||
			set.Classes != 300 || len(set.ClassNames) != 300 {
			t.Fatalf("%d channels as IDX: %v", channels, err)
		}
		path := filepath.Join(t.TempDir(), "out.tar")
		_, err = PackTar(t.Context(), path, dir, Options{})
		if channels == 2 {
			if !errors.Is(err, ErrArgument) || !strings.Contains(err.Error(), "write them as IDX") {
				t.Errorf("2 channels: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if set, err := Open(t.Context(), path, Options{}); err != nil ||
			!sameImages(set, want) || set.Files[299] != "000299.png" {
			t.Errorf("%d channels as tar: %v", channels, err)
		}
	}
}

func TestPackIDX(t *testing.T) {
	dir := pictureSet(t)
	out := filepath.Join(t.TempDir(), "a", "b")
	for _, part := range []string{":train", ":t10k"} {
		packed, err := PackIDX(t.Context(), out, dir+part, Options{})
		if err != nil || packed.Images != 6 || packed.Classes != 3 {
			t.Fatalf("%v: %v", err, packed)
		}
		want, err := Open(t.Context(), dir+part, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if set, err := Open(t.Context(), out+part, Options{}); err != nil ||
			!sameImages(set, want) || !slices.Equal(set.ClassNames, want.ClassNames) {
			t.Errorf("%s: %v: %v", part, err, set)
		}
		if _, err := PackIDX(t.Context(), out, dir+part, Options{}); !errors.Is(err, fs.ErrExist) ||
			!strings.Contains(err.Error(), out) {
			t.Errorf("%s again: %v", part, err)
		}
	}
	other := t.TempDir()
	writeText(t, filepath.Join(other, ClassNamesFile), "x\n")
	if _, err := PackIDX(t.Context(), other, dir+":train", Options{}); !errors.Is(err,
		fs.ErrExist) || !strings.Contains(err.Error(), "names other classes") {
		t.Errorf("other classes: %v", err)
	}
	t10k := t.TempDir()
	packed, err := PackIDX(t.Context(), t10k, "t10k", Options{})
	if err != nil || filepath.Base(packed.Files[len(packed.Files)-1]) != "t10k-images-idx3-ubyte" {
		t.Fatalf("%v: %v", err, packed)
	}
	if set, err := Open(t.Context(), t10k, Options{}); err != nil || set.Info().Title != "MNIST" {
		t.Errorf("MNIST again: %v: %v", err, set)
	}
}

func TestBadPacks(t *testing.T) {
	dir := pictureSet(t)
	path := filepath.Join(t.TempDir(), "out.tar")
	writeText(t, path, "precious")
	if _, err := PackTar(t.Context(), path, dir+":train", Options{}); !errors.Is(err,
		fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("over a file: %v", err)
	}
	if _, err := PackTar(t.Context(), path+".gz", dir+":train", Options{}); !errors.Is(err,
		ErrArgument) || !strings.Contains(err.Error(), "ends in .tar") {
		t.Errorf("compressed: %v", err)
	}
	fresh := filepath.Join(t.TempDir(), "out.tar")
	if _, err := PackTar(t.Context(), fresh, dir, Options{}); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("without a part: %v", err)
	}
	if _, err := PackTar(t.Context(), fresh, dir+"x", Options{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("no set: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := PackTar(ctx, fresh, dir+":train", Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := os.Stat(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failed pack left a file (%v)", err)
	}
}

// sameImages reports whether two sets have the same images with the same labels.
func sameImages(a, b *Set) bool {
	return bytes.Equal(a.Images, b.Images) && slices.Equal(a.Labels, b.Labels)
}

// Pictures are packed as they are where the part has no IDX files, which go first.
func TestWhatIsPackedOfAFolderWithBoth(t *testing.T) {
	dir := t.TempDir()
	writeLabelled(t, dir, Train, &IDX{Uint8, []int{1}, []byte{0}})
	writePictures(t, dir, "test/ant/1.png", "test/bee/1.png")
	for spec, pictures := range map[string]int{dir: 0, dir + ":train": 0, dir + ":t10k": 2} {
		place, err := placeOf(spec, Options{})
		if err != nil || (place != nil) != (pictures > 0) ||
			place != nil && len(place.list.files) != pictures {
			t.Errorf("%s: %v, %v; want %d pictures", spec, place, err, pictures)
		}
	}
	if err := os.Remove(filepath.Join(dir, "train-labels-idx1-ubyte")); err != nil {
		t.Fatal(err)
	}
	if place, err := placeOf(dir+":train", Options{}); place != nil || err != nil {
		t.Errorf("IDX files without labels: %v, %v", place, err)
	}
}
