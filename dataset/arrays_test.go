package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// golden copies one of NumPy's files to a folder.
func golden(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(goldenArrays, name))
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string][]byte{name: data})
}

func TestKerasAsTrain(t *testing.T) {
	dir := t.TempDir()
	golden(t, dir, "keras.npz")
	training, test := asTrain(t, dir, "keras.npz", Options{})
	if training.Len() != 5 || test.Len() != 2 || training.Channels != 1 || training.Height != 4 ||
		training.Width != 3 {
		t.Errorf("%v, %v", training.Info(), test.Info())
	}
	if training.Name != "keras.npz:train" || test.Name != "keras.npz:t10k" ||
		test.Place != filepath.Join(dir, "keras.npz:t10k") {
		t.Errorf("%s, %s at %s", training.Name, test.Name, test.Place)
	}
	if !slices.Equal(training.Labels, []int32{0, 1, 2, 0, 1}) ||
		!slices.Equal(test.Labels, []int32{2, 0}) {
		t.Errorf("labels %v, %v", training.Labels, test.Labels)
	}
	refused(t, filepath.Join(dir, "keras.npz"), Options{}, ErrAmbiguous, "keras.npz:train or ")
}

func TestMedMNISTAsTrain(t *testing.T) {
	dir := t.TempDir()
	golden(t, dir, "medmnist.npz")
	golden(t, dir, "plain.npz")
	training, test := asTrain(t, dir, "medmnist.npz", Options{})
	if training.Len() != 4 || test.Len() != 3 || training.Channels != 3 || training.Height != 5 ||
		training.Width != 6 {
		t.Errorf("%v, %v", training.Info(), test.Info())
	}
	// plain.npz has the same images, all of them and channels first.
	plain, none := asTrain(t, dir, "plain.npz", Options{})
	if none != nil || plain.Name != "plain.npz" || plain.Len() != 9 {
		t.Errorf("%v, %v", plain.Info(), none)
	}
	if !bytes.HasPrefix(plain.Images, training.Images) || !bytes.HasSuffix(plain.Images, test.Images) {
		t.Error("channels last are other images than channels first")
	}
	refused(t, filepath.Join(dir, "plain.npz")+":train", Options{}, ErrUnknown, "not there")
}

// A folder of .npy files is as an .npz file of the same names.
func TestFolderOfArraysAsTrain(t *testing.T) {
	images, two := npyBytes("(2, 1, 3)", 1, 2, 3, 4, 5, 6), npyBytes("(2,)", 0, 1)
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{
		"own/X_train.npy": images, "own/y_train.npy": two, "own/X_test.npy": images,
		"own/y_test.npy": npyBytes("(2, 1)", 1, 1),
		"own/labels.txt": []byte("ant\nbee\nwasp\n"), "own/LICENSE": nil,
		"one/images.npy": images, "one/labels.npy": two, "val/val_images.npy": images,
		"val/val_labels.npy": two,
	})
	training, test := asTrain(t, dir, "own", Options{})
	if training.Name != "own:train" || test.Name != "own:t10k" ||
		!slices.Equal(test.Labels, []int32{1, 1}) || training.Classes != 3 ||
		test.ClassNames[2] != "wasp" {
		t.Errorf("%v, %v", training.Info(), test.Info())
	}
	one, none := asTrain(t, dir, "one", Options{})
	if none != nil || one.Name != "one" || one.Place != filepath.Join(dir, "one") {
		t.Errorf("%v, %v", one.Info(), none)
	}
	file, beside := asTrain(t, dir, filepath.Join("own", "X_train.npy"), Options{})
	if file.Digest() != training.Digest() || beside == nil ||
		beside.Name != filepath.Join("own", "X_test.npy") {
		t.Errorf("%v, %v", file.Info(), beside)
	}
	if set, err := Open(t.Context(), filepath.Join(dir, "val"), Options{}); err != nil ||
		set.Name != filepath.Join(dir, "val")+":t10k" {
		t.Errorf("%v, %v", set, err)
	}
	if file, _ := asTrain(t, dir, filepath.Join("one", "images.npy"),
		Options{}); file.Digest() != one.Digest() {
		t.Error("the file is another set than its folder")
	}
	refused(t, filepath.Join(dir, "own"), Options{}, ErrAmbiguous, "own:train or ")
	refused(t, filepath.Join(dir, "one:t10k"), Options{}, ErrUnknown, "not there")
	refused(t, filepath.Join(dir, "one", "images.npy:t10k"), Options{}, ErrUnknown, "one set")
}

func TestArraysRefused(t *testing.T) {
	images, two := npyBytes("(2, 1, 3)", 1, 2, 3, 4, 5, 6), npyBytes("(2,)", 0, 1)
	dir := t.TempDir()
	damaged := npz(t, "images.npy", images, "labels.npy", two)
	damaged[len("PK..................................")+10] ^= 0x55
	bomb := npz(t, "images.npy", npyBytes("(2, 1, 3)", make([]byte, 64<<20)...), "labels.npy", two)
	if len(bomb) > 1<<20 {
		t.Fatal("the bomb is none")
	}
	golden(t, dir, "unnamed.npz")
	writeFiles(t, dir, map[string][]byte{
		"damaged.npz": damaged,
		"bomb.npz":    bomb,
		"large.npz": npz(t, "images.npy", npyBytes("(9000, 1000, 1000)", make([]byte, 1<<20)...),
			"labels.npy", two),
		"nolabels.npz": npz(t, "x_train.npy", images),
		"pictures.zip": npz(t, "ant/1.png", []byte("\x89PNG\r\n\x1a\n")),
		"twice.npz":    npz(t, "images.npy", images, "images.npy", images, "labels.npy", two),
		"onehot.npz":   npz(t, "images.npy", images, "labels.npy", npyBytes("(2, 2)", 0, 1, 1, 0)),
		"count.npz":    npz(t, "images.npy", images, "labels.npy", npyBytes("(1,)", 0)),
		"float.npz": npz(t, "images.npy", images, "labels.npy",
			npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", make([]byte, 8)...)),
		"huge.npz": npz(t, "images.npy", images, "labels.npy",
			npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}", append(make([]byte, 15), 1)...)),
		"scalar.npz":    npz(t, "images.npy", images, "labels.npy", npyBytes("()", 1)),
		"flat.npz":      npz(t, "images.npy", npyBytes("(2, 3)", 1, 2, 3, 4, 5, 6), "labels.npy", two),
		"picture.npz":   npz(t, "images.npy", []byte("\x89PNG\r\n\x1a\n"), "labels.npy", two),
		"my_images.npy": images, "strange.npy": images, "alone.npy": two, "images.npy": images,
	})
	for name, test := range map[string]struct {
		want error
		says string
	}{
		"bomb.npz":      {ErrTrailing, "6 bytes"},
		"large.npz":     {ErrTooLarge, "limit"},
		"nolabels.npz":  {ErrNoLabels, "y_train.npy"},
		"pictures.zip":  {ErrUnknown, "a ZIP file; unpack it"},
		"twice.npz":     {ErrZip, "twice"},
		"onehot.npz":    {ErrRank, "np.argmax"},
		"count.npz":     {ErrCount, "2 images, 1 labels"},
		"float.npz":     {ErrElementType, "labels are integers"},
		"huge.npz":      {ErrLabel, "at [1]"},
		"scalar.npz":    {ErrRank, "labels"},
		"flat.npz":      {ErrRank, "[2 3]"},
		"picture.npz":   {ErrNumPy, "a PNG picture"},
		"unnamed.npz":   {ErrUnknown, "arr_0.npy, arr_1.npy"},
		"my_images.npy": {ErrNoLabels, "my_labels.npy"},
		"strange.npy":   {ErrNoLabels, "images.npy and labels.npy"},
		"alone.npy":     {ErrRank, "give the images file"},
		"images.npy":    {ErrNoLabels, "labels.npy"},
	} {
		refused(t, filepath.Join(dir, name), Options{}, test.want, test.says)
	}
	if set, err := Open(t.Context(), filepath.Join(dir, "damaged.npz"), Options{}); err == nil {
		t.Errorf("damaged: %v", set)
	}
}

func FuzzOpenNPZ(f *testing.F) {
	f.Add(npz(f, "images.npy", npyBytes("(2, 1, 1)", 5, 6), "labels.npy", npyBytes("(2,)", 0, 1)))
	f.Add(npz(f, "x_train.npy", npyBytes("(1, 1, 1)", 5), "y_train.npy", npyBytes("(1, 1)", 0),
		"x_test.npy", npyBytes("()")))
	path := filepath.Join(f.TempDir(), "set.npz")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := openNPZ(path, "", Options{Part: Train, Limit: 1 << 20})
		if err == nil && (set.Len() == 0 || len(set.Images) != set.Len()*set.ImageSize()) {
			t.Fatalf("%d images in %d bytes", set.Len(), len(set.Images))
		}
	})
}
