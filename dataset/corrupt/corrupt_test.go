package corrupt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/datasettest"
)

func all() []Corruption {
	var list []Corruption
	for _, name := range Names() {
		for strength := 1; strength <= Strengths; strength++ {
			list = append(list, Corruption{Name: name, Strength: strength})
		}
	}
	return list
}

func apply(t *testing.T, c Corruption, set *dataset.Set) *dataset.Set {
	t.Helper()
	damaged, err := c.Apply(set)
	if err != nil {
		t.Fatal(err)
	}
	return damaged
}

func TestParse(t *testing.T) {
	for _, c := range all() {
		got, err := Parse(c.String())
		if err != nil || got != c {
			t.Errorf("Parse(%q) = %+v, %v", c.String(), got, err)
		}
		if Describe(c.Name) == "" {
			t.Errorf("%s has no description", c.Name)
		}
	}
	for _, test := range []struct {
		text string
		want error
		says string
	}{
		{"rotat:3", ErrUnknown, `did you mean "rotate"?`},
		{"gaussian:1", ErrUnknown, "gaussian-noise"},
		{"", ErrUnknown, "spatter"},
		{":3", ErrUnknown, "spatter"},
		{"rotate", ErrStrength, "rotate:3"},
		{"rotate:", ErrStrength, "1 to 5"},
		{"rotate:strong", ErrStrength, "1 to 5"},
		{"rotate:0", ErrStrength, "1 to 5"},
		{"rotate:6", ErrStrength, "1 to 5"},
		{"rotate:-1", ErrStrength, "1 to 5"},
		{"rotate:3:1", ErrStrength, "1 to 5"},
	} {
		if _, err := Parse(test.text); !errors.Is(err, test.want) ||
			!strings.Contains(err.Error(), test.says) {
			t.Errorf("Parse(%q): %v, want %q with %q", test.text, err, test.want, test.says)
		}
	}
	if Describe("rotat") != "" {
		t.Error("an unknown corruption has a description")
	}
	set := datasettest.Bars(t, 3)
	for _, c := range []Corruption{{}, {Name: "rotat", Strength: 1}, {Name: "rotate"},
		{Name: "rotate", Strength: 6}} {
		if _, err := c.Apply(set); !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrStrength) {
			t.Errorf("Apply of %+v: %v", c, err)
		}
	}
}

func TestApplyDependsOnNothingElse(t *testing.T) {
	set := datasettest.Digits(t, 12)
	before := slices.Clone(set.Images)
	first, err := set.Subset([]int{0, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all() {
		damaged := apply(t, c, set)
		if damaged.Name != "t10k+"+c.String() || damaged.Len() != set.Len() ||
			!slices.Equal(damaged.Labels, set.Labels) || damaged.Classes != set.Classes ||
			damaged.Width != set.Width {
			t.Errorf("%v made %+v", c, damaged.Name)
		}
		if bytes.Equal(damaged.Images, before) {
			t.Errorf("%v changed nothing", c)
		}
		one := runtime.GOMAXPROCS(1)
		alone := apply(t, c, first)
		runtime.GOMAXPROCS(one)
		if !bytes.Equal(alone.Images, damaged.Images[:len(alone.Images)]) {
			t.Errorf("%v: the first images depend on the others, or on the threads", c)
		}
		drawn := !slices.Contains([]string{"gaussian-blur", "scale", "brightness", "contrast", "thicken",
			"thin"}, c.Name)
		c.Seed = 1
		if same := bytes.Equal(apply(t, c, set).Images, damaged.Images); same == drawn {
			t.Errorf("%v: another seed gave the same images: %t", c, same)
		}
	}
	if !bytes.Equal(set.Images, before) {
		t.Error("the set itself was changed")
	}
}

// TestSameBitsEverywhere holds a digest of all corruptions: of another processor,
// or another release of Go, as of this one.
func TestSameBitsEverywhere(t *testing.T) {
	sum := sha256.New()
	set := datasettest.Digits(t, 20)
	for _, c := range all() {
		c.Seed = 7
		sum.Write(apply(t, c, set).Images)
	}
	const want = "8f7268ca01411c32ed9d6bca7d4dd339f5f1bbd4332672e17921544d838d7218"
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("the digest is %s, want %s", got, want)
	}
}

// TestDamageGrows measures the distance from the image, which grows with every
// strength of every corruption, over ten digits.
func TestDamageGrows(t *testing.T) {
	set := datasettest.Digits(t, 10)
	distance := func(a []uint8) (sum float64) {
		for i, x := range a {
			d := float64(x) - float64(set.Images[i])
			sum += d * d
		}
		return sum
	}
	for _, name := range Names() {
		last := 0.
		for strength := 1; strength <= Strengths; strength++ {
			d := distance(apply(t, Corruption{Name: name, Strength: strength}, set).Images)
			if d <= last {
				t.Errorf("%s:%d is %.0f from the images, strength %d %.0f", name, strength, d, strength-1, last)
			}
			last = d
		}
	}
}

func TestOcclusionIsASquare(t *testing.T) {
	const n = 500
	white, err := dataset.NewSet("white", bytes.Repeat([]uint8{255}, n*2*784), make([]int32, n), 2, 28,
		28, 1)
	if err != nil {
		t.Fatal(err)
	}
	for strength := 1; strength <= Strengths; strength++ {
		side := 4 + 2*strength
		damaged := apply(t, Corruption{Name: "occlusion", Strength: strength}, white)
		corners := map[int]bool{}
		for i := range n {
			image := damaged.Image(i)
			corner := slices.Index(image, 0)
			corners[corner] = true
			want := bytes.Repeat([]uint8{255}, 2*784)
			for c := range 2 {
				for y := range side {
					clear(want[c*784+corner+y*28:][:side])
				}
			}
			if !bytes.Equal(image, want) {
				t.Fatalf("strength %d, image %d has another shape", strength, i)
			}
		}
		// Of (29 − side)² places, 500 draws reach most, and the last row and column.
		right, bottom := 0, 0
		for corner := range corners {
			right, bottom = max(right, corner%28), max(bottom, corner/28)
		}
		if places := (29 - side) * (29 - side); len(corners) < min(places, n)/2 || right != 28-side ||
			bottom != 28-side {
			t.Errorf("strength %d: %d of %d places, down to (%d, %d)", strength, len(corners), places, right,
				bottom)
		}
	}
}

func TestImpulsesAreNested(t *testing.T) {
	set := datasettest.Digits(t, 5)
	weak := apply(t, Corruption{Name: "impulse-noise", Strength: 1}, set)
	strong := apply(t, Corruption{Name: "impulse-noise", Strength: 5}, set)
	for i, x := range weak.Images {
		if x != set.Images[i] && strong.Images[i] != x {
			t.Fatalf("byte %d is %d at strength 1 and %d at 5", i, x, strong.Images[i])
		}
	}
}

// TestAnySize runs all corruptions over sizes where lengths round to nothing, and
// over shapes that are no square.
func TestAnySize(t *testing.T) {
	for _, shape := range [][3]int{{1, 1, 1}, {3, 2, 5}, {2, 9, 3}, {1, 60, 40}, {3, 64, 64}} {
		images := make([]uint8, 2*shape[0]*shape[1]*shape[2])
		for i := range images {
			images[i] = uint8(i * 37)
		}
		set, err := dataset.NewSet("x", images, []int32{0, 0}, shape[0], shape[1], shape[2], 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all() {
			t.Run(fmt.Sprint(shape, c), func(t *testing.T) { apply(t, c, set) })
		}
	}
}

func BenchmarkApply(b *testing.B) {
	set := datasettest.Digits(b, 1000)
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := (Corruption{Name: name, Strength: 3}).Apply(set); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
