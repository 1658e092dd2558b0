package augment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"testing"

	"slipway/internal/random"
)

// noise is an image that is a function of the seed alone.
func noise(shape Shape, seed uint64) []uint8 {
	image := make([]uint8, shape.size())
	for i := range image {
		image[i] = uint8(random.Philox(seed, [4]uint32{uint32(i)})[0])
	}
	return image
}

// oldAugmentation is what train did before there were lists: words of Philox(key, {index, epoch}),
// the first two for the shift down and to the right, the third for the angle; the rotation first.
func oldAugmentation(image []uint8, s Shape, seed uint64, epoch, index, shift int,
	rotation float64) []uint8 {
	w := random.Philox(random.Key(seed, "augmentation"),
		[4]uint32{uint32(index), uint32(uint64(index) >> 32), uint32(epoch),
			uint32(uint64(epoch) >> 32)})
	moved := func(word uint32) int { return int(uint64(word)*uint64(2*shift+1)>>32) - shift }
	down, right := moved(w[0]), moved(w[1])
	degrees := rotation * (2*((float64(w[2])+0.5)/(1<<32)) - 1)
	sine, cosine := math.Sincos(degrees * math.Pi / 180)
	centreX, centreY := float64(s.Width-1)/2, float64(s.Height-1)/2
	out := make([]uint8, len(image))
	for c := range s.Channels {
		plane := image[c*s.plane():][:s.plane()]
		at := func(x, y int) float64 {
			if x < 0 || x >= s.Width || y < 0 || y >= s.Height {
				return 0
			}
			return float64(plane[y*s.Width+x])
		}
		turned := make([]uint8, len(plane))
		for y := range s.Height {
			for x := range s.Width {
				dx, dy := float64(x)-centreX, float64(y)-centreY
				fromX, fromY := cosine*dx-sine*dy+centreX, sine*dx+cosine*dy+centreY
				left, top := math.Floor(fromX), math.Floor(fromY)
				u, v := fromX-left, fromY-top
				i, j := int(left), int(top)
				value := (1-v)*((1-u)*at(i, j)+u*at(i+1, j)) + v*((1-u)*at(i, j+1)+u*at(i+1, j+1))
				turned[y*s.Width+x] = uint8(value + 0.5)
			}
		}
		for y := range s.Height {
			for x := range s.Width {
				if i, j := x-right, y-down; i >= 0 && i < s.Width && j >= 0 && j < s.Height {
					out[c*s.plane()+y*s.Width+x] = turned[j*s.Width+i]
				}
			}
		}
	}
	return out
}

// A run of before there were lists goes on with the bytes that it had.
func TestShiftAndRotationKeepTheirBytes(t *testing.T) {
	for _, shape := range []Shape{{1, 28, 28}, {3, 17, 30}, {2, 3, 9}} {
		for _, record := range []struct {
			shift    int
			rotation float64
			text     string
		}{
			{2, 10, "shift=2,rotation=10"},
			{2, 10, "rotation=10,shift=2"},
			{0, 180, "rotation=180"},
			{1, 0, "shift=1"},
			{0, 0, ""},
			{0, 0, "shift=0,rotation=0"},
		} {
			list, err := ParseList(record.text)
			if err != nil {
				t.Fatal(err)
			}
			if shift, rotation, ok := list.Legacy(); !ok || shift != record.shift ||
				rotation != record.rotation {
				t.Errorf("%q is the old record %d, %v, %v", record.text, shift, rotation, ok)
			}
			made := FromShiftAndRotation(record.shift, record.rotation)
			if made.String() != list.String() {
				t.Errorf("the old record %+v is the list %q, want %q", record, made, list)
			}
			const seed = 5
			a := augmenter(t, list, seed, shape)
			for index := range 40 {
				image, epoch := noise(shape, uint64(index)), index%3
				want := oldAugmentation(image, shape, seed, epoch, index, record.shift,
					record.rotation)
				if got := applied(t, a, image, epoch, index); !bytes.Equal(got, want) {
					t.Fatalf("%q, %v, image %d is not what it was", record.text, shape, index)
				}
			}
		}
	}
}

// The sum was computed by train's augmenter of before there were lists.
func TestShiftAndRotationBytesArePinned(t *testing.T) {
	shape := Shape{3, 12, 14}
	a := augmenter(t, FromShiftAndRotation(2, 30), 7, shape)
	sum := sha256.New()
	for index := range 50 {
		sum.Write(applied(t, a, noise(shape, uint64(index)), 3, index))
	}
	const want = "5a7d0f34e87d0e25d0a4f35cf5f41bb7e149210bbde95b4e8bda819b0475de32"
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("sha256 %s, want %s", got, want)
	}
}

func TestOtherListsAreNotTheOldRecord(t *testing.T) {
	for _, list := range []List{
		{Flip{}}, {Shift{2}, Shift{2}}, {Rotation{1}, Rotation{1}}, {Rotation{1}, Shift{2}, Flip{}},
		{Shift{2}, Rotation{1}, Shift{2}}, {Rotation{1}, Shift{2}, Rotation{1}},
	} {
		if _, _, ok := list.Legacy(); ok {
			t.Errorf("%q is said to be recorded as before", list)
		}
	}
}
