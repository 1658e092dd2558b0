package dataset

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"slipway/dataset/picture"
)

// records writes n images of CIFAR: image i has the label i mod classes, and each of its
// pixels says where it is.
func (c cifar) records(n, first int) []byte {
	var file []byte
	for i := first; i < first+n; i++ {
		if c.labels == 2 {
			file = append(file, byte(i%20))
		}
		file = append(file, byte(i%c.classes))
		for p := range cifarPixels {
			file = append(file, byte(i*7+p/1024*50+p%1024/32+p%32))
		}
	}
	return file
}

func (c cifar) nameLines() []byte {
	var lines bytes.Buffer
	for i := range c.classes {
		fmt.Fprintf(&lines, "kind %d\n", i)
	}
	lines.WriteByte('\n') // as the published file ends
	return lines.Bytes()
}

// small is an archive's content with few images, in the order of the published one.
func (c cifar) small() (names []string, files map[string][]byte) {
	names = append(append([]string{c.names, "readme.html"}, c.files[Train]...), c.files[Test]...)
	files = map[string][]byte{c.names: c.nameLines(), "readme.html": []byte("<html>")}
	for i, name := range names[2:] {
		files[name] = c.records(3+i, 10*i)
	}
	return names, files
}

// tarOf packs files as an archive of theirs.
func cifarTar(t testing.TB, folder string, names []string, files map[string][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	err := w.WriteHeader(&tar.Header{Name: folder + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	for _, name := range names {
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: folder + "/" + name, Typeflag: tar.TypeReg,
				Size: int64(len(files[name])), Mode: 0o644})
		}
		if err == nil {
			_, err = w.Write(files[name])
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// The archive, packed or not, its folder, and the folder that it is in are one set.
func TestCIFARAsTrain(t *testing.T) {
	for _, c := range cifars() {
		t.Run(c.word, func(t *testing.T) {
			dir := t.TempDir()
			names, files := c.small()
			archive := cifarTar(t, c.folder, names, files)
			writeFiles(t, filepath.Join(dir, "in", c.folder), files)
			writeFiles(t, dir, map[string][]byte{"plain.tar": archive, c.archive.name: packIDX(t, archive)})
			var digests []string
			for _, spec := range []string{c.archive.name, "plain.tar", "in", filepath.Join("in", c.folder)} {
				training, test := asTrain(t, dir, spec, Options{})
				if training.Name != spec+":train" || test.Name != spec+":t10k" || training.Channels != 3 ||
					training.Height != 32 || training.Width != 32 {
					t.Errorf("%v, %v", training.Info(), test.Info())
				}
				if training.Classes != c.classes || test.Classes != c.classes ||
					test.ClassNames[c.classes-1] != fmt.Sprintf("kind %d", c.classes-1) {
					t.Errorf("%d and %d classes, called %v", training.Classes, test.Classes, test.ClassNames)
				}
				if got := training.Image(1)[2*1024+5*32+9]; got != 7+100+5+9 {
					t.Errorf("row 5, column 9 of blue is %d", got)
				}
				digests = append(digests, training.Digest()+test.Digest())
			}
			if len(slices.Compact(digests)) != 1 {
				t.Errorf("digests %v", digests)
			}
			t.Chdir(dir)
			refused(t, "in", Options{}, ErrAmbiguous, "in:train or in:t10k")
			refused(t, "plain.tar", Options{}, ErrAmbiguous, "plain.tar:train or ")
		})
	}
}

// The five batches come one after the other; labels are the fine ones.
func TestCIFARLabels(t *testing.T) {
	for _, c := range cifars() {
		dir := t.TempDir()
		_, files := c.small()
		writeFiles(t, dir, files)
		set, err := Open(t.Context(), dir+":train", Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := []int32{0, 1, 2}
		if c.word == CIFAR10 {
			want = []int32{0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6}
		}
		if !slices.Equal(set.Labels, want) {
			t.Errorf("%s: labels %v", c.word, set.Labels)
		}
		// Without the file of names, or with others'.
		if unnamed, err := Open(t.Context(), dir+":train", Options{OwnNames: true}); err != nil ||
			unnamed.ClassNames != nil || unnamed.Classes != c.classes {
			t.Errorf("%v, %v", unnamed, err)
		}
		if wide, err := Open(t.Context(), dir+":train",
			Options{OwnNames: true, Classes: 120}); err != nil || wide.Classes != 120 {
			t.Errorf("%v, %v", wide, err)
		}
	}
}

func TestCIFARRefused(t *testing.T) {
	c := cifar10()
	change := func(name string, to []byte) (names []string, files map[string][]byte) {
		names, files = c.small()
		if files[name] = to; to == nil {
			names = slices.DeleteFunc(names, func(other string) bool { return other == name })
			delete(files, name)
		}
		return names, files
	}
	wrongLabel := c.records(3, 0)
	wrongLabel[3073] = 10
	for name, test := range map[string]struct {
		file string
		to   []byte
		want error
		says string
	}{
		"missing": {"data_batch_3.bin", nil, ErrUnknown, "data_batch_3.bin is missing"},
		"cut": {"data_batch_2.bin", c.records(2, 0)[:4000], ErrTruncated,
			"data_batch_2.bin: the data ends too early: 4000 bytes"},
		"empty":    {"data_batch_5.bin", []byte{}, ErrTruncated, "data_batch_5.bin"},
		"label 10": {"data_batch_4.bin", wrongLabel, ErrLabel, "image 1 has the label 10"},
		"names":    {c.names, []byte("cat\ndog\n"), ErrArgument, "2 class names, 10 are wanted"},
		"no text":  {c.names, []byte("cat\n\xff\n"), ErrArgument, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			names, files := change(test.file, test.to)
			writeFiles(t, filepath.Join(dir, "bin"), files)
			writeFiles(t, dir, map[string][]byte{"bin.tar.gz": packIDX(t, cifarTar(t, "bin", names, files))})
			refused(t, filepath.Join(dir, "bin")+":train", Options{}, test.want, test.says)
			refused(t, filepath.Join(dir, "bin.tar.gz")+":train", Options{}, test.want, test.says)
		})
	}
	dir := t.TempDir()
	names, files := c.small()
	whole := packIDX(t, cifarTar(t, "bin", names, files))
	hundred, _ := cifar100().small()
	_, other := cifar100().small()
	for name, data := range files {
		other[name] = data
	}
	writeFiles(t, dir, map[string][]byte{
		"cut.tar.gz":   whole[:len(whole)/2],
		"other.tar.gz": packIDX(t, cifarTar(t, "x", []string{"a.png"}, map[string][]byte{"a.png": nil})),
		"python.tar": cifarTar(t, "cifar-10-batches-py", []string{"data_batch_1"},
			map[string][]byte{"data_batch_1": nil}),
		"both.tar":      cifarTar(t, "x", append(hundred, names...), other),
		"twice.tar":     cifarTar(t, "x", append(names, names...), files),
		"py/test_batch": nil, "noise.tar": bytes.Repeat([]byte("noise "), 200),
	})
	for name, test := range map[string]struct {
		want error
		says string
	}{
		"cut.tar.gz": {ErrTruncated, "copy or download"}, "other.tar.gz": {picture.ErrFormat,
			"a.png: the file is empty"}, "python.tar": {ErrUnknown, "binary version"},
		"both.tar": {ErrUnknown, "both cifar100 and cifar10"}, "twice.tar": {ErrUnknown, "twice"},
		"py":        {ErrUnknown, "pickles"},
		"noise.tar": {ErrMagic, "no tar file"},
	} {
		refused(t, filepath.Join(dir, name), Options{Part: Train}, test.want, test.says)
	}
	writeFiles(t, dir, map[string][]byte{"good.tar.gz": whole})
	refused(t, filepath.Join(dir, "good.tar.gz"), Options{Part: Train, Limit: 20_000}, ErrTooLarge,
		"20000 bytes")
}

// A test part that is not there is none to test on, and no reason to stop.
func TestCIFARWithoutTestPart(t *testing.T) {
	c, dir := cifar10(), t.TempDir()
	names, files := c.small()
	delete(files, "test_batch.bin")
	names = slices.DeleteFunc(names, func(name string) bool { return name == "test_batch.bin" })
	writeFiles(t, filepath.Join(dir, "bin"), files)
	writeFiles(t, dir, map[string][]byte{"bin.tar": cifarTar(t, "bin", names, files)})
	for _, spec := range []string{"bin", "bin.tar"} {
		if training, test := asTrain(t, dir, spec, Options{}); test != nil || training.Len() != 25 {
			t.Errorf("%s: %v, %v", spec, training.Info(), test)
		}
	}
}

// sparseCIFARTar declares a file of 8 GB of zeros in a few bytes: a header in PAX's format, then
// the file's.
func sparseCIFARTar(name string) []byte {
	block := func(name string, kind byte, size int) []byte {
		header := make([]byte, 512)
		copy(header, name)
		copy(header[100:], "0000644\x00")
		copy(header[124:], fmt.Sprintf("%011o\x00", size))
		copy(header[136:], "00000000000\x00")
		header[156] = kind
		copy(header[257:], "ustar\x0000")
		copy(header[148:], "        ")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
		return header
	}
	var records string
	for _, record := range []string{"major=0", "minor=1", "numblocks=1", "map=0,0", "size=8589934592",
		"name=" + name} {
		line := " GNU.sparse." + record + "\n"
		records += strconv.Itoa(len(line)+2) + line // all take two digits
	}
	file := append(block("pax", 'x', len(records)), records...)
	file = append(file, make([]byte, 512-len(records)%512)...)
	return append(append(file, block(name, '0', 0)...), make([]byte, 1024)...)
}

// A sparse file of a tar unpacks to no more than the limit.
func TestSparseTar(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse.tar")
	if err := os.WriteFile(path, sparseCIFARTar("data_batch_1.bin"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, path+":train", Options{Limit: 1 << 20}, ErrTooLarge, "1048576 bytes")
}

func FuzzOpenCIFARArchive(f *testing.F) {
	c := cifar10()
	f.Add(cifarTar(f, "x", []string{"test_batch.bin"},
		map[string][]byte{"test_batch.bin": c.records(1, 0)}))
	f.Add(packIDX(f, cifarTar(f, "x", []string{c.names, "test_batch.bin"},
		map[string][]byte{c.names: c.nameLines(), "test_batch.bin": nil})))
	f.Add(sparseCIFARTar("test_batch.bin"))
	path := filepath.Join(f.TempDir(), "set.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := openCIFARArchive(t.Context(), path, Test, Options{Limit: 1 << 20})
		if err == nil && (set.Len() == 0 || len(set.Images) != set.Len()*set.ImageSize()) {
			t.Fatalf("%d images in %d bytes", set.Len(), len(set.Images))
		}
	})
}
