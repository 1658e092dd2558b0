package kernel

import (
	"math"
	"unsafe"
)

// Winograd's minimal filtering computes an m×m tile of a K×K convolution from the 6×6 elements that
// it sees, m = 7−K, with 36 multiplications a channel where m²K² are usual: 2.8 times fewer for
// 5×5, 4 times for 3×3.
//
//	Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A
//
// That is linear in g, so that the weights' gradient is the transpose, with as few multiplications:
// of the tiles' gradients dY, summed over all tiles before the last transform,
//
//	dg = Gᵀ [Σ (A dY Aᵀ) ⊙ (Bᵀ d B)] G
//
// In one dimension, polynomials are multiplied by way of their values at the points pᵢ = 0, ±√½,
// ±√2 and ∞: row i of G is (1, p, p², …)/Nᵢ with Nᵢ = Π(pᵢ−pⱼ) over the other finite points, row i
// of Bᵀ the coefficients of Π(x−pⱼ), column i of Aᵀ (1, p, p², …); ∞ stands for the highest
// coefficient. The points are each other's reciprocals and negatives, which keeps the matrices'
// elements, and so the rounding errors, small; and the rows of ±p share their even and odd halves.
//
// S. Winograd, Arithmetic Complexity of Computations, SIAM, 1980; A. Lavin and S. Gray, Fast
// Algorithms for Convolutional Neural Networks, CVPR 2016; on points, B. Barabasz et al., Error
// Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, ACM TOMS
// 46, 2020.
const winogradTile = 6

// winogradElements is the number of elements of a tile.
const winogradElements = winogradTile * winogradTile

// The kernel sizes that there are transforms for.
const winogradSmallest, winogradLargest = 3, 5

// winogradArgs describes transforms of tiles, each of Vectors vectors of channels side by side.
// Element (i, j) of tile t is read from Src + SrcOffsets[t] + i·SrcRow + j·SrcColumn, and likewise
// written. Offsets are in bytes.
//
// The transforms of the input and of the gradient read Zeros in place of an element that lies
// outside the image: bit j·rows + i of Inside[t] is set where (i, j) is inside. Those of the output
// and of the weights' gradient make each lane of Check that saw a result that is not finite NaN,
// and that of the output adds Bias, and of Add, unless nil, what lies there as results do from Dst,
// and rectifies by Floor.
type winogradArgs struct {
	Src        unsafe.Pointer
	SrcOffsets *int64
	SrcRow     int
	SrcColumn  int
	Dst        unsafe.Pointer
	DstOffsets *int64
	DstRow     int
	DstColumn  int
	Tiles      int
	Vectors    int
	Scratch    unsafe.Pointer // a tile of vectors
	Bias       unsafe.Pointer
	Check      unsafe.Pointer // a vector
	Floor      float32        // 0 rectifies; NaN changes nothing
	_          float32
	left       int // the assembly's
	Inside     *uint64
	Zeros      unsafe.Pointer // a vector
	Add        unsafe.Pointer
}

// winogradTransforms are a set's loops; all but the input's by kernel size.
type winogradTransforms struct {
	input                     func(args *byte)
	weights, output           [winogradLargest + 1]func(args *byte)
	gradient, weightsGradient [winogradLargest + 1]func(args *byte)
}

// winogradInside returns the bits of the elements of a tile of size² whose first one is (top, left)
// that are inside an image.
func winogradInside(size, top, left, height, width int) uint64 {
	var inside uint64
	for j := range size {
		for i := range size {
			if row, column := top+i, left+j; row >= 0 && row < height && column >= 0 && column < width {
				inside |= 1 << (j*size + i)
			}
		}
	}
	return inside
}

// winogradLine transforms one row or column of a tile in place: inputs in, results out.
type winogradLine func(x *[winogradTile]float32)

func winogradInputLine(x *[winogradTile]float32) {
	d := *x
	x[0] = d[0] + d[4] - 2.5*d[2]
	for i, square := range [2]float32{2, 0.5} { // of the other pair of points
		even := d[4] - square*d[2]
		odd := (d[3] - square*d[1]) * root(1/square)
		x[1+2*i], x[2+2*i] = even+odd, even-odd
	}
	x[5] = d[1] + d[5] - 2.5*d[3]
}

// winogradPair stands for the points ±√square; what is computed with them is divided by divisor.
type winogradPair struct{ square, divisor float64 }

// winogradPairs returns the points of the matrix A, or of G, whose rows are divided by the products
// of differences.
func winogradPairs(divided bool) [2]winogradPair {
	if divided {
		return [2]winogradPair{{0.5, -1.5}, {2, 6}}
	}
	return [2]winogradPair{{0.5, 1}, {2, 1}}
}

// powers returns the first powers of √square, over the divisor.
func (p winogradPair) powers() (powers [winogradTile]float32) {
	for k := range powers {
		powers[k] = float32(math.Pow(p.square, float64(k)/2) / p.divisor)
	}
	return powers
}

// winogradPointsLine gives the values of a polynomial of size coefficients at the points.
func winogradPointsLine(size int, divided bool) winogradLine {
	pairs := winogradPairs(divided)
	powers := [2][winogradTile]float32{pairs[0].powers(), pairs[1].powers()}
	return func(x *[winogradTile]float32) {
		g := *x
		for i := range powers {
			var halves [2]float32
			for k, v := range g[:size] {
				halves[k%2] += powers[i][k] * v
			}
			x[1+2*i], x[2+2*i] = halves[0]+halves[1], halves[0]-halves[1]
		}
		x[5] = g[size-1]
	}
}

// winogradPowersLine gives the sums over the points of the values times the point's power, of the
// first size powers.
func winogradPowersLine(size int, divided bool) winogradLine {
	pairs := winogradPairs(divided)
	powers := [2][winogradTile]float32{pairs[0].powers(), pairs[1].powers()}
	return func(x *[winogradTile]float32) {
		v := *x
		sums, differences := [2]float32{v[1] + v[2], v[3] + v[4]}, [2]float32{v[1] - v[2], v[3] - v[4]}
		x[0] = v[0] + powers[0][0]*sums[0] + powers[1][0]*sums[1]
		for power := 1; power < size; power++ {
			terms := sums
			if power%2 == 1 {
				terms = differences
			}
			x[power] = powers[0][power]*terms[0] + powers[1][power]*terms[1]
		}
		x[size-1] += v[5]
	}
}

// portableWinograd returns the transforms in Go.
func portableWinograd() winogradTransforms {
	t := winogradTransforms{input: portableSeparable(winogradTile, winogradTile, winogradInputLine)}
	for k := winogradSmallest; k <= winogradLargest; k++ {
		size := winogradTile + 1 - k
		t.weights[k] = portableSeparable(k, winogradTile, winogradPointsLine(k, true))
		t.output[k] = portableSeparable(winogradTile, size, winogradPowersLine(size, false))
		t.gradient[k] = portableSeparable(size, winogradTile, winogradPointsLine(size, false))
		t.weightsGradient[k] = portableSeparable(winogradTile, k, winogradPowersLine(k, true))
	}
	return t
}

// portableSeparable transforms the columns, then the rows of tiles of inputs² elements.
func portableSeparable(inputs, outputs int, transform winogradLine) func(args *byte) {
	return func(args *byte) {
		a := (*winogradArgs)(unsafe.Pointer(args))
		src, dst := unsafe.Slice(a.SrcOffsets, a.Tiles), unsafe.Slice(a.DstOffsets, a.Tiles)
		for t := range a.Tiles {
			inside := ^uint64(0)
			if a.Inside != nil {
				inside = unsafe.Slice(a.Inside, a.Tiles)[t]
			}
			for c := range a.Vectors * portableLanes {
				var tile [winogradTile][winogradTile]float32 // rows of transformed columns
				for j := range inputs {
					var column [winogradTile]float32
					for i := range inputs {
						if inside>>(j*inputs+i)&1 != 0 {
							column[i] = *floatAt(a.Src, int(src[t])+i*a.SrcRow+j*a.SrcColumn+4*c)
						}
					}
					transform(&column)
					for i := range outputs {
						tile[i][j] = column[i]
					}
				}
				for i := range outputs {
					transform(&tile[i])
					for j, v := range tile[i][:outputs] {
						if a.Check != nil {
							*floatAt(a.Check, 4*(c%portableLanes)) += 0 * v
						}
						at := int(dst[t]) + i*a.DstRow + j*a.DstColumn + 4*c
						if a.Bias != nil {
							v += *floatAt(a.Bias, 4*c)
							if a.Add != nil {
								v += *floatAt(a.Add, at)
							}
							if v < a.Floor {
								v = a.Floor
							}
						}
						*floatAt(a.Dst, at) = v
					}
				}
			}
		}
	}
}
