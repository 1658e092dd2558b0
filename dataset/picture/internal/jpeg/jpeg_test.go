package jpeg

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// transformed is the inverse transform by its definition (A.3.3).
func transformed(block *[64]int32) (out [64]float64) {
	for y := range 8 {
		for x := range 8 {
			sum := 0.0
			for v := range 8 {
				for u := range 8 {
					term := float64(block[8*v+u]) * math.Cos(float64((2*x+1)*u)*math.Pi/16) *
						math.Cos(float64((2*y+1)*v)*math.Pi/16)
					if u == 0 {
						term /= math.Sqrt2
					}
					if v == 0 {
						term /= math.Sqrt2
					}
					sum += term
				}
			}
			out[8*y+x] = min(max(sum/4+128, 0), 255)
		}
	}
	return out
}

// The fixed-point method rounds three times: a sample is off by less than one level, and by less
// than half a level beyond rounding.
func TestInverseFollowsTheDefinition(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 1))
	for round := range 400 {
		var block [64]int32
		block[0] = chance.Int32N(2048) - 1024
		for range round % 20 {
			block[chance.IntN(64)] = chance.Int32N(401) - 200
		}
		want := transformed(&block)
		only := block[0]
		var got, quick [64]uint8
		inverse(&block, got[:], 8)
		for i := range got {
			if math.Abs(float64(got[i])-want[i]) > 0.6 {
				t.Fatalf("round %d: sample %d is %d, by the definition %.3f", round, i, got[i], want[i])
			}
		}
		if round%20 == 0 {
			if flat(only, quick[:], 8); quick != got {
				t.Fatalf("the quick way for %d: %d, the long one %d", only, quick[0], got[0])
			}
		}
	}
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../testdata/pictures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// changed puts other bytes in the place of the first that are old.
func changed(t *testing.T, data []byte, old, other string) []byte {
	t.Helper()
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("% x is not in the file", old)
	}
	return bytes.Replace(data, []byte(old), []byte(other), 1)
}

func TestDecodeRefusesWhatIsWrong(t *testing.T) {
	colour, grey := file(t, "jpeg-444"), file(t, "jpeg-grey")
	frame := string([]byte{0xFF, 0xC0, 0, 17, 8})
	scan := string([]byte{0xFF, 0xDA, 0, 12, 3})
	at := bytes.Index(grey, []byte{0xFF, 0xDA})
	progressive := file(t, "jpeg-grey-progressive")
	for name, test := range map[string]struct {
		data []byte
		kind error
	}{
		"12 bits":      {changed(t, colour, frame, "\xff\xc1\x00\x11\x0c"), ErrUnsupported},
		"lossless":     {changed(t, colour, frame, "\xff\xc3\x00\x11\x08"), ErrUnsupported},
		"hierarchical": {changed(t, colour, frame, "\xff\xc5\x00\x11\x08"), ErrUnsupported},
		"no frame":     {changed(t, colour, frame, "\xff\xfe\x00\x11\x08"), nil},
		"no tables":    {changed(t, colour, "\xff\xdb", "\xff\xfe"), nil},
		"no codes":     {changed(t, colour, "\xff\xc4", "\xff\xfe"), nil},
		"two frames": {changed(t, colour, scan,
			frame+"\x00\x10\x00\x10\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"+scan), nil},
		"unknown component":   {changed(t, colour, scan+"\x01", scan+"\x09"), nil},
		"a component twice":   {changed(t, colour, scan+"\x01\x00\x02", scan+"\x01\x00\x01"), nil},
		"unknown table":       {changed(t, colour, scan+"\x01\x00", scan+"\x01\x77"), nil},
		"the same scan again": {append(bytes.Clone(grey[:len(grey)-2]), grey[at:]...), nil},
		"a component missing": {changed(t, colour, scan,
			"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xda\x00\x0c\x03"), nil},
		"no end of the passes": {progressive[:len(progressive)-2], ErrTruncated},
		"only a beginning":     {[]byte("\xff\xd8"), ErrTruncated},
		"only both ends":       {[]byte("\xff\xd8\xff\xd9"), nil},
		"something else":       {[]byte("GIF89a"), nil},
	} {
		got, err := Decode(t.Context(), test.data)
		if err == nil || got != nil || test.kind != nil && !errors.Is(err, test.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Restart markers let a decoder find its way again; this one says that something is missing.
func TestDecodeNoticesALostRestart(t *testing.T) {
	data := file(t, "jpeg-restarts")
	if _, err := Decode(t.Context(), changed(t, data, "\xff\xd1", "\xff\xd3")); err == nil {
		t.Error("a restart in the wrong order is taken")
	}
}

// A whole baseline picture without its last marker, and one with bytes between its segments, are
// what libjpeg takes, too.
func TestDecodeIsLenientWhereNothingIsLost(t *testing.T) {
	data := file(t, "jpeg-444")
	want, err := Decode(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string][]byte{
		"no end":             data[:len(data)-2],
		"bytes in between":   changed(t, data, "\xff\xdb", "stray\xff\xff\xff\xdb"),
		"bytes after pixels": append(bytes.Clone(data[:len(data)-2]), "\x12\x34\xff\xd9"...),
	} {
		got, err := Decode(t.Context(), other)
		if err != nil || !bytes.Equal(got.Pixels, want.Pixels) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each pass takes time for all blocks, and a few bytes: a file must not ask for millions.
func TestDecodeBoundsThePasses(t *testing.T) {
	data := file(t, "jpeg-grey-progressive")
	body := data[:len(data)-2]
	pass := body[bytes.Index(body, []byte{0xFF, markerSOS}):]
	pass = pass[:bytes.Index(pass, []byte{0xFF, markerDHT})]
	for n, right := range map[int]bool{3: true, maxScans: false} {
		long := append(append(bytes.Clone(body), bytes.Repeat(pass, n)...), 0xFF, markerEOI)
		if _, err := Decode(t.Context(), long); (err == nil) != right {
			t.Errorf("%d passes more: %v", n, err)
		} else if err != nil && !strings.Contains(err.Error(), "passes") {
			t.Errorf("%d passes more are refused for something else: %v", n, err)
		}
	}
}

// ending is a context that ends once it has been asked so often whether it has.
type ending struct {
	context.Context
	left, asked int
}

func (e *ending) Err() error {
	e.asked++
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// Decoding ends soon after its context, in whichever pass it is.
func TestDecodeEndsWithItsContext(t *testing.T) {
	for _, name := range []string{"jpeg-420", "jpeg-grey-progressive"} {
		data := file(t, name)
		whole := &ending{t.Context(), 1 << 30, 0}
		if _, err := Decode(whole, data); err != nil {
			t.Fatal(err)
		}
		for left := range whole.asked {
			ctx := &ending{t.Context(), left, 0}
			if got, err := Decode(ctx, data); !errors.Is(err, context.Canceled) || ctx.asked != left+1 {
				t.Fatalf("%s: after %d rows of %d: %v, %v, asked %d times", name, left, whole.asked, got, err,
					ctx.asked)
			}
		}
	}
}
