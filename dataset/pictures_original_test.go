package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"slipway/dataset/picture"
)

// Originals are the same from memory, from the file of decoded pictures and from their own
// files, grey ones in colour, too, and belong to whoever asks for them.
func TestOriginalsOfEachStore(t *testing.T) {
	dir := mixedSet(t)
	for _, store := range []struct {
		name, cache string
		memory      int64
	}{
		{"memory", NoPictureCache, 1 << 20},
		{"a file of decoded pictures", t.TempDir(), 1},
		{"their own files", NoPictureCache, 1},
	} {
		t.Run(store.name, func(t *testing.T) {
			source, err := OpenSource(t.Context(), dir, Options{
				Sizing: &picture.Sizing{Height: 6, Width: 4}, SkipDamaged: true, Originals: true,
				Memory: store.memory, PictureCache: store.cache,
			})
			if err != nil {
				t.Fatal(err)
			}
			originals, names := source.(Originals), FileNames(source)
			var got picture.Image
			for range 2 {
				for i, name := range names {
					if err := originals.Original(t.Context(), i, nil, &got); err != nil {
						t.Fatal(err)
					}
					want := inColour(t, filepath.Join(dir, name))
					if got.Channels != 3 || got.Height != want.Height || got.Width != want.Width ||
						!bytes.Equal(got.Pixels, want.Pixels) {
						t.Errorf("%s: another picture, %d×%d×%d", name, got.Channels, got.Height, got.Width)
					}
					clear(got.Pixels) // nobody else has them
					checkMiddleRows(t, originals, i, name, want)
				}
			}
		})
	}
}

// checkMiddleRows looks at what is read where the rows in the middle are asked for alone.
func checkMiddleRows(t *testing.T, originals Originals, index int, name string,
	want *picture.Image) {
	t.Helper()
	var got picture.Image
	first, end := want.Height/3, want.Height-want.Height/3
	middle := func(height, width int) (int, int) {
		if height != want.Height || width != want.Width {
			t.Errorf("%s: rows are asked of %d×%d pixels", name, height, width)
		}
		return first, end
	}
	if err := originals.Original(t.Context(), index, middle, &got); err != nil {
		t.Fatal(err)
	}
	if got.Channels != 3 || len(got.Pixels) != len(want.Pixels) {
		t.Fatalf("%s: %d channels and %d bytes", name, got.Channels, len(got.Pixels))
	}
	for plane := 0; plane < len(want.Pixels); plane += want.Height * want.Width {
		from, to := plane+first*want.Width, plane+end*want.Width
		if !bytes.Equal(got.Pixels[from:to], want.Pixels[from:to]) {
			t.Errorf("%s: other pixels in the rows from %d on", name, first)
		}
	}
}

func inColour(t *testing.T, path string) *picture.Image {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	image, err := picture.Decode(data, picture.Options{Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// What is written into a file of decoded pictures is checked when it is first read, and
// again once the file has been written to.
func TestPixelsAreCheckedOnce(t *testing.T) {
	dir := mixedSet(t)
	var messages bytes.Buffer
	opts := Options{
		Sizing: &picture.Sizing{Height: 6, Width: 4}, SkipDamaged: true, Memory: 1,
		PictureCache: t.TempDir(), Messages: &messages,
	}
	source, err := OpenSource(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	store := source.(*Pictures).store.(*pack)
	sound := func() (count int) {
		for i := range store.sound {
			if at := store.sound[i].Load(); at != 0 && at == store.modified() {
				count++
			}
		}
		return count
	}
	if n := sound(); n != 0 {
		t.Errorf("%d pictures were checked before any was read", n)
	}
	readAll(t, source, 0)
	if n := sound(); n != source.Len() {
		t.Errorf("%d of %d pictures were checked", n, source.Len())
	}
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(store.file.Name(), later, later); err != nil {
		t.Fatal(err)
	}
	if n := sound(); n != 0 {
		t.Errorf("%d pictures count as checked in a file that was written to since", n)
	}
	readAll(t, source, 0)
	if n := sound(); n != source.Len() {
		t.Errorf("%d of %d pictures were checked again", n, source.Len())
	}
}
