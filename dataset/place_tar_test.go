package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tarOf packs members, given as name and content behind each other, to an archive.
func tarOf(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		header := &tar.Header{Name: members[i], Typeflag: tar.TypeReg, Mode: 0o644,
			Size: int64(len(members[i+1]))}
		if strings.HasSuffix(members[i], "/") {
			header.Typeflag = tar.TypeDir
		}
		writeMember(t, w, header, members[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeMember(t *testing.T, w *tar.Writer, header *tar.Header, content string) {
	t.Helper()
	if err := w.WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
}

// pngBytes is a small picture, of other pixels for each seed.
func pngBytes(t *testing.T, seed uint8) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.png")
	writePNG(t, path, 2, 2, false, seed)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Labels of samples are numbers or words, in a file beside the picture.
func TestTarSamples(t *testing.T) {
	a, b, c := pngBytes(t, 10), pngBytes(t, 20), pngBytes(t, 30)
	for name, test := range map[string]struct {
		members []string
		labels  []int32
		classes []string
		files   []string
	}{
		"numbers": {[]string{"0.png", a, "0.cls", "2", "1.png", b, "1.cls", "0\n", "2.cls", "2",
			"2.png", c},
			[]int32{2, 0, 2}, nil, []string{"0.png", "1.png", "2.png"}},
		"words": {[]string{"x/0.PNG", a, "x/0.txt", "wasp", "x/1.png", b, "x/1.txt", "ant\n",
			"x/2.png", c, "x/2.txt", "wasp"},
			[]int32{1, 0, 1}, []string{"ant", "wasp"}, []string{"x/0.PNG", "x/1.png", "x/2.png"}},
		"JSON": {[]string{"0.png", a, "0.json", `{"label":1,"caption":"x"}`, "1.png", b, "1.json",
			`{"class":0}`, "2.png", c, "2.json", `{"label":"1"}`},
			[]int32{1, 0, 1}, nil, []string{"0.png", "1.png", "2.png"}},
		"the surest note": {[]string{"0.png", a, "0.txt", "a caption", "0.cls", "1", "0.json", "{}",
			"1.png", b, "1.cls", "0", "2.png", c, "2.cls", "1"},
			[]int32{1, 0, 1}, nil, []string{"0.png", "1.png", "2.png"}},
		"other members, dots": {[]string{"./d.x/", "", "./d.x/0.png", a, "d.x/0.cls", "1",
			"d.x/0.seg.png", b, "d.x/1.png", b, "d.x/1.cls", "0", "e.png", c, "e.cls", "1",
			"notes.md", "x"},
			[]int32{1, 0, 1}, nil, []string{"d.x/0.png", "d.x/1.png", "e.png"}},
		"names of classes": {[]string{"__set__/labels.txt", "ant\nbee\nwasp\n", "0.png", a, "0.cls",
			"1", "1.png", b, "1.cls", "0", "2.png", c, "2.cls", "1"},
			[]int32{1, 0, 1}, []string{"ant", "bee", "wasp"}, []string{"0.png", "1.png", "2.png"}},
	} {
		t.Run(name, func(t *testing.T) {
			packed := tarOf(t, test.members...)
			for file, data := range map[string][]byte{"s.tar": packed, "s.tar.gz": gzipped(t,
				packed), "s.tgz": gzipped(t, packed), "called.else": gzipped(t, packed)} {
				path := filepath.Join(t.TempDir(), file)
				writeText(t, path, string(data))
				set, err := Open(t.Context(), path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(set.Labels, test.labels) ||
					!slices.Equal(set.ClassNames, test.classes) ||
					!slices.Equal(set.Files, test.files) ||
					set.Images[0] != 10 || set.Images[4] != 20 || set.Images[8] != 30 {
					t.Errorf("%s: labels %v of %q, files %q", file, set.Labels, set.ClassNames,
						set.Files)
				}
				if again, err := Reopen(t.Context(), set.Info(), Options{}); err != nil ||
					again.Info().Place != path {
					t.Errorf("%s, reopened: %v", file, err)
				}
			}
		})
	}
}

// An archive of class folders is the set that they are unpacked, whatever lies around.
func TestTarFolders(t *testing.T) {
	dir := pictureSet(t)
	writeText(t, filepath.Join(dir, "train", "bee", ".DS_Store"), "x")
	writeText(t, filepath.Join(dir, "train", "bee", "notes.txt"), "x")
	writeText(t, filepath.Join(dir, "LICENSE"), "CC0 1.0\n")
	writePNG(t, filepath.Join(dir, "train", "bee", "a", "z.png"), 2, 3, false, 9)
	writePNG(t, filepath.Join(dir, "train", "bee+", "a-", "z.png"), 2, 3, false, 8)
	var members []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		relative, _ := filepath.Rel(dir, path)
		members = append([]string{filepath.ToSlash(relative), string(data)},
			members...) // last first
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "./", "set/", "a/b/"} {
		renamed := slices.Clone(members)
		for i := 0; i < len(renamed); i += 2 {
			renamed[i] = prefix + renamed[i]
		}
		path := filepath.Join(t.TempDir(), "s.tar")
		writeText(t, path, string(tarOf(t, renamed...)))
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrAmbiguous) ||
			!strings.Contains(err.Error(), path+":train or") {
			t.Errorf("%q, without a part: %v", prefix, err)
		}
		for _, part := range []string{":train", ":t10k"} {
			want, err := Open(t.Context(), dir+part, Options{})
			if err != nil {
				t.Fatal(err)
			}
			set, err := Open(t.Context(), path+part, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if set.Digest() != want.Digest() || !slices.Equal(set.Files, want.Files) ||
				!slices.Equal(set.ClassNames, want.ClassNames) ||
				set.Name != path+part || !strings.HasPrefix(set.Licence, "CC0 1.0") {
				t.Errorf("%q%s: files %q, want %q; licence %q", prefix, part, set.Files, want.Files,
					set.Licence)
			}
		}
		training, err := Open(t.Context(), path, Options{Part: Train})
		if err != nil {
			t.Fatal(err)
		}
		if test, err := OpenTest(t.Context(), training, Options{}); err != nil || test == nil ||
			test.Info().Name != path+":t10k" {
			t.Errorf("%q, the test part: %v: %v", prefix, err, test)
		}
	}
}

// A folder of archives is one set, or one for each part.
func TestShards(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"x-train-000001.tar", "x-train-000000.tar", "x-val-000000.tar",
		"extra.tar"} {
		writeText(t, filepath.Join(dir, name), string(tarOf(t, "0.png", pngBytes(t, uint8(i)),
			"0.cls", "1", "1.png", pngBytes(t, 9), "1.cls", "0")))
	}
	writeText(t, filepath.Join(dir, "labels.txt"), "ant\nbee\n")
	var messages bytes.Buffer
	training, err := Open(t.Context(), dir+":train", Options{Messages: &messages})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"x-train-000000.tar/0.png", "x-train-000000.tar/1.png",
		"x-train-000001.tar/0.png", "x-train-000001.tar/1.png"}
	if !slices.Equal(training.Files, want) || training.Images[0] != 1 ||
		!slices.Equal(training.ClassNames, []string{"ant", "bee"}) ||
		!strings.Contains(messages.String(), "not taken: extra.tar") {
		t.Errorf("files %q of %q, told: %s", training.Files, training.ClassNames, messages.String())
	}
	if test, err := OpenTest(t.Context(), training, Options{}); err != nil ||
		test.Info().Name != dir+":t10k" || test.Len() != 2 {
		t.Errorf("the test part: %v: %v", err, test)
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("both parts: %v", err)
	}
	for _, name := range []string{"x-train-000001.tar", "x-train-000000.tar", "x-val-000000.tar"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir,
			strings.NewReplacer("train", "a", "val", "b").Replace(name))); err != nil {
			t.Fatal(err)
		}
	}
	if set, err := Open(t.Context(), dir, Options{}); err != nil || set.Len() != 8 {
		t.Errorf("no parts: %v: %v", err, set)
	}
	if _, err := Open(t.Context(), dir+":train", Options{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a part of a set that has none: %v", err)
	}
	for i, name := range []string{"train.tar", "test.tar"} {
		writeText(t, filepath.Join(dir, name), string(tarOf(t, "0.png", pngBytes(t, uint8(i)),
			"0.cls", "1")))
	}
	alone, err := Open(t.Context(), filepath.Join(dir, "train.tar"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if test, err := OpenTest(t.Context(), alone, Options{}); err != nil || test == nil ||
		test.Info().Name != filepath.Join(dir, "test.tar") {
		t.Errorf("the archive beside: %v: %v", err, test)
	}
}

// Archives that are not read are called by their names.
func TestOtherArchives(t *testing.T) {
	for begin, name := range map[string]string{"PK\x03\x04": "ZIP", "7z\xbc\xaf\x27\x1c": "7z",
		"Rar!": "RAR", "\xfd7zXZ\x00": "xz", "\x28\xb5\x2f\xfd": "zstd", "BZh": "bzip2"} {
		path := filepath.Join(t.TempDir(), "set.bin")
		writeText(t, path, begin+"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrUnknown) ||
			!strings.Contains(err.Error(), "a "+name+" file; unpack it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Members are read by many at once, and not of an archive that was changed.
func TestTarReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.tar")
	var members []string
	for i := range 40 {
		members = append(members, "c/"+string(rune('A'+i))+".png", pngBytes(t, uint8(i)))
	}
	writeText(t, path, string(tarOf(t, members...)))
	place, err := findPictures(path, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i, file := range place.list.files {
				if data, err := file.read(); err != nil || string(data) != members[2*i+1] {
					t.Errorf("%s: %v", file.where, err)
				}
			}
		})
	}
	workers.Wait()
	writeText(t, path, string(tarOf(t, members[:6]...)))
	if _, err := place.list.files[0].read(); !errors.Is(err, ErrChanged) ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("a changed archive: %v", err)
	}
}

// The folder for what is said of the whole set is called so, and no class is.
func TestFoldersOfTheWholeSet(t *testing.T) {
	for dir, want := range map[string]bool{
		"__set__": true, "__x__": true, "____": false, "__": false, "dogs__": false,
		"__dogs": false, "": false, "dogs": false,
	} {
		if isMeta(dir) != want {
			t.Errorf("%q is of the whole set: %t", dir, !want)
		}
	}
}

// An archive is read on from any place of it, the first too.
func TestPlacesInAnArchive(t *testing.T) {
	for _, test := range []struct {
		offset int64
		whence int
		want   int64 // −1 if there is none
	}{
		{0, io.SeekStart, 0}, {7, io.SeekStart, 7}, {-1, io.SeekStart, -1},
		{-5, io.SeekCurrent, 0}, {2, io.SeekCurrent, 7}, {-6, io.SeekCurrent, -1}, {0, io.SeekEnd, -1},
	} {
		r := &windowReader{position: 5}
		got, err := r.Seek(test.offset, test.whence)
		if sound := test.want >= 0; sound != (err == nil) ||
			sound && (got != test.want || r.position != got) || !sound && r.position != 5 {
			t.Errorf("%d from %d: %d, at %d, %v", test.offset, test.whence, got, r.position, err)
		}
	}
}
