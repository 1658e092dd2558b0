package kernel

import (
	"math"
	"unsafe"
)

// Winograd's minimal filtering computes an m×m tile of a K×K convolution from the 6×6 elements that it sees, m = 7−K, with
// 36 multiplications a channel where m²K² are usual: 2.8 times fewer for 5×5, 4 times for 3×3.
//
//	Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A
//
// In one dimension, polynomials are multiplied by way of their values at the points pᵢ = 0, ±√½, ±√2 and ∞: row i of G is
// (1, p, p², …)/Nᵢ with Nᵢ = Π(pᵢ−pⱼ) over the other finite points, row i of Bᵀ the coefficients of Π(x−pⱼ), column i of Aᵀ
// (1, p, p², …); ∞ stands for the highest coefficient. The points are each other's reciprocals and negatives, which keeps
// the matrices' elements, and so the rounding errors, small; and the rows of ±p share their even and odd halves.
//
// S. Winograd, Arithmetic Complexity of Computations, SIAM, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional
// Neural Networks, CVPR 2016; on points, B. Barabasz et al., Error Analysis and Improving the Accuracy of Winograd
// Convolution for Deep Neural Networks, ACM TOMS 46, 2020.
const winogradTile = 6

// winogradElements is the number of elements of a tile.
const winogradElements = winogradTile * winogradTile

// The kernel sizes that there are transforms for.
const winogradSmallest, winogradLargest = 3, 5

// winogradArgs describes transforms of tiles, each of Vectors vectors of channels side by side. Element (i, j) of tile t is
// read from Src + SrcOffsets[t] + i·SrcRow + j·SrcColumn, and likewise written. The transform of the output adds Bias,
// rectifies by Floor, and makes each lane of Check that saw a result that is not finite NaN. Offsets are in bytes.
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
}

// winogradTransforms are a set's loops; weights and output by kernel size.
type winogradTransforms struct {
	input           func(args *byte)
	weights, output [winogradLargest + 1]func(args *byte)
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

func winogradWeightsLine(kernel int) winogradLine {
	var coefficients [2][winogradLargest]float32 // of the pairs of points
	for i, pair := range [2]struct{ square, divisor float64 }{{0.5, -1.5}, {2, 6}} {
		for k := range kernel {
			coefficients[i][k] = float32(math.Pow(pair.square, float64(k)/2) / pair.divisor)
		}
	}
	return func(x *[winogradTile]float32) {
		g := *x
		for i := range coefficients {
			var halves [2]float32
			for k, v := range g[:kernel] {
				halves[k%2] += coefficients[i][k] * v
			}
			x[1+2*i], x[2+2*i] = halves[0]+halves[1], halves[0]-halves[1]
		}
		x[5] = g[kernel-1]
	}
}

func winogradOutputLine(size int) winogradLine {
	var powers [winogradTile][2]float32 // of the pairs of points
	for k := range size {
		powers[k] = [2]float32{float32(math.Pow(0.5, float64(k)/2)), float32(math.Pow(2, float64(k)/2))}
	}
	return func(x *[winogradTile]float32) {
		v := *x
		sums, differences := [2]float32{v[1] + v[2], v[3] + v[4]}, [2]float32{v[1] - v[2], v[3] - v[4]}
		x[0] = v[0] + sums[0] + sums[1]
		for power := 1; power < size; power++ {
			terms := sums
			if power%2 == 1 {
				terms = differences
			}
			x[power] = powers[power][0]*terms[0] + powers[power][1]*terms[1]
		}
		x[size-1] += v[5]
	}
}

// portableWinograd returns the transforms in Go.
func portableWinograd() winogradTransforms {
	t := winogradTransforms{input: portableSeparable(winogradTile, winogradTile, winogradInputLine)}
	for k := winogradSmallest; k <= winogradLargest; k++ {
		t.weights[k] = portableSeparable(k, winogradTile, winogradWeightsLine(k))
		t.output[k] = portableSeparable(winogradTile, winogradTile+1-k, winogradOutputLine(winogradTile+1-k))
	}
	return t
}

// portableSeparable transforms the columns, then the rows of tiles of inputs² elements.
func portableSeparable(inputs, outputs int, transform winogradLine) func(args *byte) {
	return func(args *byte) {
		a := (*winogradArgs)(unsafe.Pointer(args))
		src, dst := unsafe.Slice(a.SrcOffsets, a.Tiles), unsafe.Slice(a.DstOffsets, a.Tiles)
		for t := range a.Tiles {
			for c := range a.Vectors * portableLanes {
				var tile [winogradTile][winogradTile]float32 // rows of transformed columns
				for j := range inputs {
					var column [winogradTile]float32
					for i := range inputs {
						column[i] = *floatAt(a.Src, int(src[t])+i*a.SrcRow+j*a.SrcColumn+4*c)
					}
					transform(&column)
					for i := range outputs {
						tile[i][j] = column[i]
					}
				}
				for i := range outputs {
					transform(&tile[i])
					for j, v := range tile[i][:outputs] {
						if a.Bias != nil {
							*floatAt(a.Check, 4*(c%portableLanes)) += 0 * v
							v += *floatAt(a.Bias, 4*c)
							if v < a.Floor {
								v = a.Floor
							}
						}
						*floatAt(a.Dst, int(dst[t])+i*a.DstRow+j*a.DstColumn+4*c) = v
					}
				}
			}
		}
	}
}
