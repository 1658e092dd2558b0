package kernel

import (
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// EnvironmentVariable names the variable that Select reads when it is given no name.
const EnvironmentVariable = "SLIPWAY_KERNEL"

// Set is one implementation of the numeric loops: "avx512", "avx2" or "portable". Sets differ in
// speed and, as sums are taken in other orders, in rounding; each gives the same bits on any number
// of threads.
type Set struct {
	name  string
	lanes int  // float32 elements of a vector
	half  *Set // of vectors half as wide, for few channels; nil if there is none

	productWide, productNarrow func(args *byte)
	rowsWide, rowsNarrow       func(args *byte)
	productPair                func(args *byte)                   // two wide panels at once; nil where there are too few registers
	sparseBlocks               [6][13]func(args *byte)            // by rows and vectors of a block
	sparseRows                 [stripVectors + 1]func(args *byte) // by vectors
	poolMaximum, poolMaxima    func(args *byte)
	poolAverage, poolSpread    func(args *byte)
	gather8                    func(args *byte)
	list                       func(items *byte, x *float32, n int, step int32) int
	transpose8                 func(dst *float32, dstStep int, src *float32, srcStep int, blocks int)
	copyPanel                  func(dst, src *float32, srcStep, rows int)
	prefetch                   func(p *float32, lines int)
	winograd                   winogradTransforms
	normalise                  normalisePasses
	depthwise                  func(args *byte)
	depthwiseGradient          func(args *byte)
	tiles                      func(args *byte) // products of bfloat16; nil where the CPU has none
	permitTiles                func() error     // has to be called before tiles; nil where it need not
	bfloat16                   func(dst *uint16, src *float32, n, count, dstStep, srcStep int)
	bfloat16Pairs              func(dst *uint32, a, b *float32, n, count, dstStep, aStep, bStep int)
	bfloat16Neighbours         func(even, odd *uint32, src *float32, count, groups, srcStep, groupStep int)

	functions functionLoops
	tails     sync.Pool // of *functionTail

	relu         func(y, x *float32, n int)
	reluGradient func(dx, dy, y *float32, n int)
	multiply     func(z, x, y *float32, n int)
	addScaled    func(y, x *float32, n int, scale float32)
	addClamped   func(z, x, y *float32, n int, low, high float32)
	gateBy       func(y, x *float32, n int, gate *float32)
	clamp        func(y, x *float32, n int, scale, shift, low, high float32)
	copyVectors  func(dst, src *float32, srcStep, rows int)
	interleave3  func(dst, a, b, c *float32, n int)
	affine       func(args *byte)
	row          func(args *byte)
	bytes        func(y *float32, x *uint8, n int, scale, offset float32)
	sums         func(out, x *float32, n int)
	penalty      func(g, p *float32, n int, l1, scale float32)
	adam         func(p, g, m, v *float32, n int, c *byte)
	sgd          func(p, g, b *float32, n int, c *byte)
	lion         func(p, g, m *float32, n int, c *byte)
	rmsprop      func(p, g, s, a, b *float32, n int, c *byte)
}

// Name returns "avx512", "avx2" or "portable".
func (s *Set) Name() string { return s.name }

// panel returns the width of a panel of the matrix product, in elements.
func (s *Set) panel() int { return 2 * s.lanes }

// Select returns the set of that name, or, given "", the one that the environment variable
// SLIPWAY_KERNEL names, or the one preferred of those that this CPU has the instructions for. An
// unknown name and a set that the CPU cannot run are errors.
func Select(name string) (*Set, error) {
	origin := "kernel set"
	if name == "" {
		name = os.Getenv(EnvironmentVariable)
		origin = EnvironmentVariable
	}
	available := sets()
	if name == "" {
		return available[0], nil
	}
	for _, s := range available {
		if s.name == name {
			return s, nil
		}
	}
	switch name {
	case "avx512", "avx2":
		return nil, fmt.Errorf("kernel: %s %q: this CPU does not have it; available: %s", origin, name,
			Available())
	}
	return nil, fmt.Errorf("kernel: unknown %s %q; available: %s", origin, name, Available())
}

// Available returns the names of the sets that this CPU can run, the preferred first.
func Available() []string {
	var names []string
	for _, s := range sets() {
		names = append(names, s.name)
	}
	return names
}

// forChannels returns the set whose vectors suit rows of that many channels best: wide ones would
// be half empty.
func (s *Set) forChannels(channels int) *Set {
	if s.half != nil && channels <= s.half.lanes {
		return s.half
	}
	return s
}

// forWholeVectors returns the set whose vectors rows of that many channels are made of, if there is
// one.
func (s *Set) forWholeVectors(channels int) *Set {
	if s.half != nil && (channels < s.lanes || channels%s.lanes != 0 && channels%s.half.lanes == 0) {
		return s.half
	}
	return s
}

// ahead brings one of so many parts of some values into the second-level cache, where a loop reads
// them soon.
func (s *Set) ahead(values []float32, part, parts int) {
	const line = 16
	lines := ceil(len(values), line)
	if from, to := lines*part/parts, lines*(part+1)/parts; from < to {
		s.prefetch(&values[from*line], to-from)
	}
}

// productPanel computes a panel of the given width: panel() columns, or half of it.
func (s *Set) productPanel(a *productArgs, width int) {
	if width == s.lanes {
		s.productNarrow((*byte)(unsafe.Pointer(a)))
		return
	}
	s.productWide((*byte)(unsafe.Pointer(a)))
}

func (s *Set) sparse(rows, vectors int, a *sparseArgs) {
	s.sparseBlocks[rows][vectors]((*byte)(unsafe.Pointer(a)))
}

func (s *Set) sparseRow(vectors int, a *sparseRowArgs) {
	s.sparseRows[vectors]((*byte)(unsafe.Pointer(a)))
}

func (s *Set) poolMax(a *poolArgs) { s.poolMaximum((*byte)(unsafe.Pointer(a))) }

func (s *Set) gather(a *gatherArgs) { s.gather8((*byte)(unsafe.Pointer(a))) }
