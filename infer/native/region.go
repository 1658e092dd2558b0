package native

import "slipway/onnx"

// region is a part of a tensor that is copied to a part of another: shape
// elements, each operand from an offset on and with its own strides, which may be
// 0 or, of the source, negative.
type region struct {
	shape                []int
	dst, src             []int // strides
	dstOffset, srcOffset int
}

// copyStrided copies a region between tensors of one type.
func copyStrided(dst, src *Tensor, g region) {
	switch s := src.Data.(type) {
	case []float32:
		copyRegion(dst.Data.([]float32), s, g)
	case []float64:
		copyRegion(dst.Data.([]float64), s, g)
	case []int8:
		copyRegion(dst.Data.([]int8), s, g)
	case []int16:
		copyRegion(dst.Data.([]int16), s, g)
	case []int32:
		copyRegion(dst.Data.([]int32), s, g)
	case []int64:
		copyRegion(dst.Data.([]int64), s, g)
	case []uint8:
		copyRegion(dst.Data.([]uint8), s, g)
	case []uint16:
		copyRegion(dst.Data.([]uint16), s, g)
	case []uint32:
		copyRegion(dst.Data.([]uint32), s, g)
	case []uint64:
		copyRegion(dst.Data.([]uint64), s, g)
	case []bool:
		copyRegion(dst.Data.([]bool), s, g)
	case []onnx.Float16:
		copyRegion(dst.Data.([]onnx.Float16), s, g)
	}
}

func copyRegion[T any](dst, src []T, g region) {
	if product(g.shape) == 0 {
		return
	}
	w := walk{shape: g.shape, steps: [][]int{g.dst, g.src}}.collapse()
	last := len(w.shape) - 1
	length, to, from := w.shape[last], w.steps[0][last], w.steps[1][last]
	w.rows(0, product(w.shape[:last]), func(_ int, offsets []int) {
		d, s := offsets[0]+g.dstOffset, offsets[1]+g.srcOffset
		switch {
		case to == 1 && from == 1:
			copy(dst[d:d+length], src[s:s+length])
		default:
			for range length {
				dst[d] = src[s]
				d += to
				s += from
			}
		}
	})
}

// fill sets all elements of a tensor to the first of another of its type.
func fill(dst, value *Tensor) {
	n := dst.elements()
	copyStrided(dst, value, region{shape: []int{n}, dst: []int{1}, src: []int{0}})
}
