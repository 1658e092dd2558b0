package infer

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/dataset/picture"
	g "slipway/internal/graphmaker"
	"slipway/onnx"
)

// Pictures are read in as many channels as the model's input has, whether they lie first or
// last; of a model that takes neither grey nor coloured images nothing is said.
func TestPicturesHaveTheChannelsOfTheInput(t *testing.T) {
	for _, test := range []struct {
		dims []int64
		want int
	}{
		{[]int64{g.Free, 1, 8, 8}, 1}, {[]int64{g.Free, 3, 8, 8}, 3}, {[]int64{g.Free, 8, 8, 1}, 1},
		{[]int64{g.Free, 8, 8, 3}, 3}, {[]int64{g.Free, 2, 8, 4}, 0}, {[]int64{g.Free, 3}, 0},
	} {
		model := g.New(test.dims...).Node("y = Flatten x").Model()
		options, err := PictureOptions(model, nil, dataset.Options{})
		if err != nil || options.Channels != test.want || options.Sizing != nil {
			t.Errorf("%v: %d channels, size %v (%v), want %d", test.dims, options.Channels,
				options.Sizing, err,
				test.want)
		}
	}
	two := g.New(g.Free, 3, 8, 8).Node("y = Flatten x").Model()
	two.Proto.Graph.Input = append(two.Proto.Graph.Input, two.Proto.Graph.Input[0])
	if options, err := PictureOptions(two, nil, dataset.Options{}); err != nil ||
		options.Channels != 0 {
		t.Errorf("of two inputs: %d channels (%v)", options.Channels, err)
	}
}

// The size is the one that is asked for, then the one of the record.
func TestPicturesHaveTheSizeOfTheRecord(t *testing.T) {
	model := g.New(g.Free, 3, 8, 8).Node("y = Flatten x").Model()
	recorded := picture.Sizing{Height: 8, Width: 8, Fit: picture.Pad}
	asked := picture.Sizing{Height: 4, Width: 6, Fit: picture.Crop}
	of := &onnx.TrainingRecord{Sizing: recorded.String()}
	for name, test := range map[string]struct {
		record *onnx.TrainingRecord
		asked  *picture.Sizing
		want   *picture.Sizing
	}{
		"recorded":               {of, nil, &recorded},
		"asked for":              {of, &asked, &asked},
		"neither":                {&onnx.TrainingRecord{}, nil, nil},
		"no record":              {nil, nil, nil},
		"asked without a record": {nil, &asked, &asked},
	} {
		options, err := PictureOptions(model, test.record, dataset.Options{Sizing: test.asked})
		if err != nil || (options.Sizing == nil) != (test.want == nil) ||
			test.want != nil && *options.Sizing != *test.want {
			t.Errorf("%s: %v (%v), want %v", name, options.Sizing, err, test.want)
		}
	}
	_, err := PictureOptions(model, &onnx.TrainingRecord{Sizing: "as it was"}, dataset.Options{})
	if err == nil || !strings.Contains(err.Error(), "training record") {
		t.Errorf("of a record that says no size: %v", err)
	}
}

// pictured is a set of pictures in files, one of 1×1 in a folder for each class name.
func pictured(t *testing.T, names ...string) dataset.Source {
	t.Helper()
	dir := t.TempDir()
	for i, name := range names {
		grey := image.NewGray(image.Rect(0, 0, 1, 1))
		grey.Pix[0] = uint8(i)
		var file bytes.Buffer
		err := errors.Join(png.Encode(&file, grey), os.Mkdir(filepath.Join(dir, name), 0o777),
			os.WriteFile(filepath.Join(dir, name, "a.png"), file.Bytes(), 0o666))
		if err != nil {
			t.Fatal(err)
		}
	}
	set, err := dataset.OpenSource(t.Context(), dir+"/", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// classed is a set of an image for each class name, whose labels count up.
func classed(t *testing.T, names ...string) *dataset.Set {
	t.Helper()
	labels := make([]int32, len(names))
	for i := range labels {
		labels[i] = int32(i)
	}
	set, err := dataset.NewSet("pictures", make([]uint8, len(names)), labels, 1, 1, 1, len(names))
	if err != nil {
		t.Fatal(err)
	}
	set.ClassNames = names
	return set
}

// labelsOf reads the labels of a set of images of one byte.
func labelsOf(t *testing.T, set dataset.Source) []int32 {
	t.Helper()
	labels, indices := make([]int32, set.Len()), make([]int, set.Len())
	for i := range indices {
		indices[i] = i
	}
	if err := set.Read(t.Context(), make([]uint8, set.Len()), labels, indices, 0); err != nil {
		t.Fatal(err)
	}
	return labels
}

// Labels of pictures come into the order of the model's classes; other sets stay what they
// are, and a set that has some of the model's classes and others is refused.
func TestPicturesInTheOrderOfTheModel(t *testing.T) {
	record := &onnx.TrainingRecord{ClassLabels: []string{"dog", "owl", "cat"}}
	files := func(names ...string) dataset.Source { return pictured(t, names...) }
	set, err := InModelOrder(files("cat", "dog"), record)
	if err != nil {
		t.Fatal(err)
	}
	labels := labelsOf(t, set)
	if !slices.Equal(labels, []int32{2, 0}) || !slices.Equal(set.Info().ClassNames,
		record.ClassLabels) {
		t.Errorf("labels %v of %v", labels, set.Info().ClassNames)
	}

	for name, test := range map[string]struct {
		set    dataset.Source
		record *onnx.TrainingRecord
	}{
		"no record": {files("cat", "dog"), nil},
		"no files":  {classed(t, "cat", "cow"), record},
		"the model's order": {files("cat", "dog"),
			&onnx.TrainingRecord{ClassLabels: []string{"cat", "dog"}}},
		"other classes":  {files("cow", "pig"), record},
		"no names known": {files("cat", "dog"), &onnx.TrainingRecord{}},
	} {
		got, err := InModelOrder(test.set, test.record)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a, b := got.Info().ClassNames, test.set.Info().ClassNames; !slices.Equal(a, b) {
			t.Errorf("%s: the classes are %q now, and were %q", name, a, b)
		}
		if !slices.Equal(labelsOf(t, got), labelsOf(t, test.set)) {
			t.Errorf("%s: the labels changed", name)
		}
	}

	_, err = InModelOrder(files("cat", "cow", "pig"), record)
	if err == nil || !strings.Contains(err.Error(), `has the class "cow"`) {
		t.Errorf("of a class that the model does not have: %v", err)
	}
}
