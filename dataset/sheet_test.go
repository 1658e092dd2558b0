package dataset

import (
	"context"
	"errors"
	"image"
	"reflect"
	"testing"
)

// counting counts the images that are read.
type counting struct {
	*Set
	read int
}

func (c *counting) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	c.read += len(indices)
	return c.Set.Read(ctx, images, labels, indices, epoch)
}

// A sheet of a source is that of the set, and reads its images alone.
func TestSourceSheet(t *testing.T) {
	set := pixelSet(t, "own", []uint8{10, 20, 30, 40, 50}, []int32{0, 1, 2, 0, 1})
	source := &counting{Set: set}
	got, err := SourceSheet(t.Context(), source, []int{4, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ContactSheet(set, []int{4, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.(*image.RGBA).Pix, want.(*image.RGBA).Pix) || source.read != 2 {
		t.Errorf("another sheet, of %d images read", source.read)
	}
	for name, test := range map[string]struct {
		indices []int
		columns int
		want    error
	}{
		"another set's": {[]int{5}, 1, ErrIndex}, "none": {nil, 1,
			ErrEmpty}, "no column": {[]int{1}, 0, ErrArgument},
		"too many": {make([]int, maxSheet/4+1), 10, ErrArgument},
	} {
		source.read = 0
		if _, err := SourceSheet(t.Context(), source, test.indices, test.columns); !errors.Is(err,
			test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if name == "too many" && source.read > 0 {
			t.Error("too many are read all the same")
		}
	}
}

// An image that is narrower than its caption stands over the middle of it.
func TestImagesOverWideCaptions(t *testing.T) {
	set, err := NewSet("own", make([]uint8, 8*56), []int32{0}, 1, 56, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	sheet, err := CaptionedSheet(set, []int{0}, []string{"twenty letters long."}, 1)
	if err != nil {
		t.Fatal(err)
	}
	// The cell is of 20 letters of 7 pixels and a gap of 4, behind a margin of 4.
	if size := sheet.Bounds().Size(); size.X != 148 {
		t.Errorf("the sheet is %d pixels wide, want 148", size.X)
	}
	for x, black := range map[int]bool{4: false, 69: false, 70: true, 77: true, 78: false} {
		if r, _, _, _ := sheet.At(x, 30).RGBA(); (r == 0) != black {
			t.Errorf("pixel %d is black: %t", x, !black)
		}
	}
}
