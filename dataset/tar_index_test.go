package dataset

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A compressed archive takes no more memory than is allowed, whatever it unpacks to.
func TestTarBomb(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	for _, packed := range [][]byte{
		tarOf(t, "c/0.png", zeros),
		tarOf(t, "c/0.png", zeros[:1<<18], "c/1.png", zeros[:1<<18], "c/2.png", zeros[:1<<18]),
		append(tarOf(t, "c/0.png", "x"), zeros...),
	} {
		path := filepath.Join(t.TempDir(), "s.tar.gz")
		writeText(t, path, string(gzipped(t, packed)))
		budget := int64(1 << 19)
		if _, err := indexTar(path, &budget); !errors.Is(err, ErrTooLarge) ||
			!strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), "unpack it to a .tar") {
			t.Errorf("%d bytes: %v", len(packed), err)
		}
	}
}

// oddTar is an archive with a member of an unusual kind.
func oddTar(t *testing.T, header tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header.Mode = 0o644
	writeMember(t, w, &header, "")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is wrong with an archive is told with the archive, the member and what to do.
func TestBadTars(t *testing.T) {
	a := pngBytes(t, 1)
	good := string(tarOf(t, "c/0.png", a, "c/1.png", a))
	lying := []byte(string(tarOf(t, "c/0.png", a, "c/1.png", a)))
	copy(lying[124:], "77777777777\x00") // the size, 8 GiB
	fixChecksum(lying[:512])
	extended := tarOf(t, "pax", "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", "c/0.png",
		"1\n0\n1\n"+strings.Repeat("\x00", 512))
	extended[156] = tar.TypeXHeader
	fixChecksum(extended[:512])
	for name, test := range map[string]struct {
		data string
		want error
		says string
	}{
		"a link": {oddTar(t, tar.Header{Name: "c/0.png", Typeflag: tar.TypeSymlink,
			Linkname: "/etc/passwd"}), ErrArgument,
			"c/0.png: argument out of range: it is a link to /etc/passwd; pack"},
		"a hard link": {oddTar(t, tar.Header{Name: "c/0.png", Typeflag: tar.TypeLink,
			Linkname: "x"}), ErrArgument, "it is a link"},
		"a named pipe": {oddTar(t, tar.Header{Name: "c/0.png", Typeflag: tar.TypeFifo}),
			ErrArgument, "it is no file"},
		"absolute": {oddTar(t, tar.Header{Name: "/etc/0.png", Typeflag: tar.TypeReg}),
			ErrArgument, "/etc/0.png: argument out of range: the name leads out"},
		"upwards": {oddTar(t, tar.Header{Name: "c/../../0.png", Typeflag: tar.TypeReg}),
			ErrArgument, "leads out"},
		"a size that lies": {string(lying), ErrTruncated,
			"c/0.png: the data ends too early: it should have 8589934591 bytes"},
		"sparse": {string(extended), ErrArgument,
			"c/0.png: argument out of range: it is stored as a sparse file"},
		"old sparse": {sparseTar(t), ErrArgument,
			"c/0.png: argument out of range: it is stored as a sparse file"},
		"cut in a header":  {good[:1100], ErrTruncated, "after c/0.png"},
		"cut in a picture": {good[:530], ErrTruncated, "c/0.png"},
		"cut behind one":   {good[:1024], ErrTruncated, "the mark at its end is missing"},
		"cut, gzip": {string(gzipped(t, []byte(good)))[:100], ErrTruncated,
			"copy or download"},
		"damaged, gzip":   {"\x1f\x8b" + strings.Repeat("\xff", 200), ErrGzip, "gzip header"},
		"two, one by one": {good + good, ErrTrailing, "pack it again as one"},
		"twice": {string(tarOf(t, "c/0.png", a, "c/0.png", a)), ErrArgument,
			"c/0.png: argument out of range: it is in the archive twice"},
		"empty":      {"", ErrTruncated, "mark at its end"},
		"no archive": {strings.Repeat("text ", 300), ErrMagic, "after the first member"},
		"no pictures": {string(tarOf(t, "a.txt", "x")), ErrEmpty,
			"no file in it is called as a picture"},
		"neither": {string(tarOf(t, "a.png", a)), ErrNoLabels, "no folder of a class"},
		"a label is missing": {string(tarOf(t, "a.png", a, "a.cls", "1", "b.png", a)), ErrNoLabels,
			"b.png"},
		"two pictures": {string(tarOf(t, "a.png", a, "a.jpg", a, "a.cls", "1")), ErrAmbiguous,
			"another picture, a.jpg"},
		"bad JSON": {string(tarOf(t, "b.png", a, "b.cls", "1", "a.png", a, "a.json",
			"{")), ErrArgument, "a.json"},
		"a label of −1": {string(tarOf(t, "a.png", a, "a.cls", "-1")), ErrLabel, "a.png"},
		"a part": {string(tarOf(t, "train/a.png", a)), ErrNoLabels,
			"no folder of a class"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "s.tar"
			if strings.Contains(name, "gzip") {
				file += ".gz"
			}
			path := filepath.Join(t.TempDir(), file)
			writeText(t, path, test.data)
			_, err := Open(t.Context(), path, Options{})
			if err == nil || test.want != nil && !errors.Is(err, test.want) ||
				!strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
		})
	}
}

// fixChecksum gives a changed header its sum.
func fixChecksum(header []byte) {
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	for i := 5; i >= 0; i-- {
		header[148+i] = byte('0' + sum%8)
		sum /= 8
	}
	header[154], header[155] = 0, ' '
}

// sparseTar is an archive with a sparse file, as GNU tar wrote them before pax.
func sparseTar(t *testing.T) string {
	data := tarOf(t, "c/0.png", "")
	data[156] = tar.TypeGNUSparse
	copy(data[257:], "ustar  \x00")
	fixChecksum(data[:512])
	return string(data)
}

// Whatever is damaged, there is an error and no panic.
func FuzzTar(f *testing.F) {
	f.Add([]byte("text"))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"c/0.png", "c/0.cls", "d/1.png"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg,
			Size: 1}); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write([]byte("1")); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(bytes.Clone(b.Bytes()))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "s.tar")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		place, err := findPictures(path, "", Options{})
		if err != nil {
			return
		}
		for _, file := range place.list.files {
			_, _ = file.read() // some error or none
		}
	})
}
