package kernel

import (
	"fmt"
	"slices"
	"unsafe"

	"slipway/internal/hugepages"
)

// Engine is what every plan computes with: a set of loops and the threads to run them on.
type Engine struct {
	Set  *Set
	Pool *Pool
	// Weights, unless nil, says when plans are given the weights of calls before.
	Weights *Weights
	// BF16, unless nil, has the plans of convolutions round what they multiply to bfloat16, the
	// nearest and of two the even one, and sum in float32, where that is the faster way
	// (docs/native-engine.md). CheckBF16 has to have found nothing against it.
	BF16 *BF16
}

// NewEngine returns an engine with the set of that name (see Select) and its own pool of threads
// (see NewPool). The caller closes the pool.
func NewEngine(set string, threads int) (Engine, error) {
	s, err := Select(set)
	if err != nil {
		return Engine{}, err
	}
	return Engine{Set: s, Pool: NewPool(threads), Weights: new(Weights)}, nil
}

func (e Engine) check() error {
	if e.Set == nil || e.Pool == nil {
		return fmt.Errorf("kernel: engine without a kernel set or a pool")
	}
	return nil
}

// slack is how far past its last element a buffer may be read, in elements: a block of the widest
// vectors.
const slack = 64

// aligned returns n zeroed elements that start on a cache line and may be read slack elements past
// the end.
func aligned(n int) []float32 {
	b := hugepages.Floats(n + slack + 16)
	skip := 0
	for uintptr(unsafe.Pointer(&b[skip]))%64 != 0 {
		skip++
	}
	return b[skip : skip+n : skip+n]
}

func pointer(s []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

// maxSize is the largest size of which products of three may be computed without overflow.
const maxSize = 1 << 20

// tooLarge reports whether one of the sizes is beyond maxSize.
func tooLarge(sizes ...int) bool { return slices.Max(sizes) > maxSize }

// maxElements bounds the elements of a plan's tensors.
const maxElements = 1 << 33

func ceil(a, b int) int { return (a + b - 1) / b }

// lengths reports the first slice that does not have the length it must have.
func lengths(operation string, sizes ...size) error {
	for _, s := range sizes {
		if s.got != s.want {
			return fmt.Errorf("kernel: %s: %s has %d elements, want %d", operation, s.name, s.got, s.want)
		}
	}
	return nil
}

type size struct {
	name      string
	got, want int
}

// optional is the size of a slice that may be nil.
func optional(name string, values []float32, want int) size {
	if values == nil {
		want = 0
	}
	return size{name, len(values), want}
}

// panels cuts n columns into panels of the product: all are wide, and the last one is narrow if
// that holds the rest.
type panels struct {
	set   *Set
	n     int
	masks [][]int32 // by panel; nil where all of its columns exist
	zeros []float32 // a panel's row
}

func newPanels(set *Set, n int) panels {
	p := panels{set: set, n: n, masks: make([][]int32, ceil(n, set.panel())),
		zeros: aligned(set.panel())}
	last := len(p.masks) - 1
	if rest := n - last*set.panel(); rest != p.width(last) {
		p.masks[last] = make([]int32, p.width(last))
		for i := range rest {
			p.masks[last][i] = -1
		}
	}
	return p
}

func (p panels) count() int { return len(p.masks) }

// first returns the first column of panel i.
func (p panels) first(i int) int { return i * p.set.panel() }

// share returns the panels from first on and before last that are a piece of them, of so many that
// do not part pairs.
func (p panels) share(piece, pieces int) (first, last int) {
	pairs := ceil(p.count(), 2)
	return 2 * (piece * pairs / pieces), min(p.count(), 2*((piece+1)*pairs/pieces))
}

// columns returns how many of panel i's columns exist.
func (p panels) columns(i int) int { return min(p.n-p.first(i), p.set.panel()) }

// width returns the stored width of panel i.
func (p panels) width(i int) int {
	if p.n-p.first(i) <= p.set.lanes {
		return p.set.lanes
	}
	return p.set.panel()
}

// whole reports whether panel i is wide and has all of its columns.
func (p panels) whole(i int) bool { return p.columns(i) == p.set.panel() }

func (p panels) mask(i int) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(p.masks[i])) }

// padded returns the number of columns with the padding of the last panel.
func (p panels) padded() int { return p.count() * p.set.panel() }

// stored returns the number of columns that the product computes.
func (p panels) stored() int { return p.first(p.count()-1) + p.width(p.count()-1) }

// packTransposed stores columns of w, given as rows of depth elements (row r is column r of the
// product's B), as panel i: depth rows of width(i). Columns that do not exist are left as they are
// in dst, zero since its allocation.
func (p panels) packTransposed(dst, w []float32, depth, i int) {
	width, columns := p.width(i), p.columns(i)
	w = w[p.first(i)*depth:]
	done := 0
	if depth >= 8 {
		for ; done+8 <= columns; done += 8 {
			p.set.transpose8(&dst[done], 4*width, &w[done*depth], 4*depth, depth/8)
			for r := done; r < done+8; r++ {
				for k := depth &^ 7; k < depth; k++ {
					dst[k*width+r] = w[r*depth+k]
				}
			}
		}
	}
	for r := done; r < columns; r++ {
		row := w[r*depth : (r+1)*depth]
		for k, x := range row {
			dst[k*width+r] = x
		}
	}
}

// packRows stores panel i of a matrix of the given number of rows, rowStep elements apart, as rows
// of width(i).
func (p panels) packRows(dst, m []float32, rows, rowStep, i int) {
	width, columns, first := p.width(i), p.columns(i), p.first(i)
	if columns == p.set.panel() {
		p.set.copyPanel(&dst[0], &m[first], 4*rowStep, rows)
		return
	}
	for r := range rows {
		copy(dst[r*width:], m[r*rowStep+first:r*rowStep+first+columns])
	}
}
