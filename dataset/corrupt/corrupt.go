package corrupt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"slipway/dataset"
	"slipway/internal/nearest"
	"slipway/internal/random"
)

// Strengths is the number of strengths of every corruption: 1, the mildest, to 5.
const Strengths = 5

// What can be wrong with a corruption. Errors of Parse, Check and Apply are one of these.
var (
	ErrUnknown  = errors.New("unknown corruption")
	ErrStrength = errors.New("wrong strength")
)

// A Corruption is one way to damage images.
type Corruption struct {
	// Name is one of Names.
	Name string
	// Strength is 1 to Strengths.
	Strength int
	// Seed draws what chance decides; 0 is a seed like others.
	Seed uint64
}

// Names lists the corruptions: noise, blur, geometry, light, obstacles and strokes.
func Names() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Describe says in a line what a corruption does and what its strengths are, and
// returns "" for an unknown name.
func Describe(name string) string {
	k, _ := find(name)
	return k.description
}

// Parse reads NAME:STRENGTH, such as "rotate:3". The seed is 0.
func Parse(text string) (Corruption, error) {
	name, strength, found := strings.Cut(text, ":")
	if _, err := find(name); err != nil {
		return Corruption{}, err
	}
	if !found {
		return Corruption{}, fmt.Errorf("%w: %q has none; write NAME:STRENGTH, such as %s:3", ErrStrength,
			text, name)
	}
	n, err := strconv.Atoi(strength)
	if err != nil {
		return Corruption{}, fmt.Errorf("%w: %q in %q; 1 to %d are possible", ErrStrength, strength, text,
			Strengths)
	}
	c := Corruption{Name: name, Strength: n}
	return c, c.Check()
}

// String returns NAME:STRENGTH, as Parse reads it.
func (c Corruption) String() string { return c.Name + ":" + strconv.Itoa(c.Strength) }

// Check refuses an unknown name, saying which is nearest, and a strength out of range.
func (c Corruption) Check() error {
	if _, err := find(c.Name); err != nil {
		return err
	}
	if c.Strength < 1 || c.Strength > Strengths {
		return fmt.Errorf("%w: %d of %s; 1 to %d are possible", ErrStrength, c.Strength, c.Name,
			Strengths)
	}
	return nil
}

// Apply returns a set of the damaged images, with the labels of set, which is left
// as it is. The new set's name is that of set, a plus sign and the corruption:
// "t10k+rotate:3".
func (c Corruption) Apply(set *dataset.Set) (*dataset.Set, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	kind, err := find(c.Name)
	if err != nil {
		return nil, err
	}
	out := make([]uint8, len(set.Images))
	size := size{channels: set.Channels, height: set.Height, width: set.Width}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), set.Len()) {
		workers.Go(func() {
			damage := kind.new(c.Strength, size)
			for i := int(next.Add(1)) - 1; i < set.Len(); i = int(next.Add(1)) - 1 {
				damage(out[i*size.total():][:size.total()], set.Image(i), c.stream(i))
			}
		})
	}
	workers.Wait()
	return set.WithImages(set.Name+"+"+c.String(), out)
}

// stream returns the random numbers of an image. They are the same for all strengths.
func (c Corruption) stream(image int) *rand.Rand {
	return random.New(c.Seed, "corrupt/"+c.Name+"/"+strconv.Itoa(image))
}

func find(name string) (kind, error) {
	for _, k := range kinds() {
		if k.name == name {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("%w %q%s; there are %s", ErrUnknown, name, nearest.Hint(name, Names()),
		strings.Join(Names(), ", "))
}
