package picture

import "image"

// fromVP8 converts a lossy WebP's planes as libwebp does: each chroma value is 9 parts of the nearest sample, 3 of each of its two neighbours and 1
// of the one across ("fancy upsampling"), converted in fixed point.
func fromVP8(m *image.YCbCr, alpha []uint8, alphaStride int) *raster {
	r := newRaster(3, m.Rect, alpha != nil)
	red, green, blue := r.plane(0), r.plane(1), r.plane(2)
	width, chromaWidth, last := r.Width, (r.Width+1)/2, (r.Height-1)/2
	cb, cr := make([]uint8, 2*chromaWidth+1), make([]uint8, 2*chromaWidth+1)
	for y := range r.Height {
		near := y / 2
		far := min(max(near-1+y%2*2, 0), last)
		upsampleVP8(cb, m.Cb[near*m.CStride:][:chromaWidth], m.Cb[far*m.CStride:][:chromaWidth])
		upsampleVP8(cr, m.Cr[near*m.CStride:][:chromaWidth], m.Cr[far*m.CStride:][:chromaWidth])
		row := m.Y[y*m.YStride:][:width]
		for x, v := range row {
			luma, u, v := int32(v)*19077>>8, int32(cb[x]), int32(cr[x])
			at := y*width + x
			red[at] = clip6(luma + v*26149>>8 - 14234)
			green[at] = clip6(luma - u*6419>>8 - v*13320>>8 + 8708)
			blue[at] = clip6(luma + u*33050>>8 - 17685)
		}
		if alpha != nil {
			copy(r.alpha[y*width:][:width], alpha[y*alphaStride:])
		}
	}
	return r
}

// upsampleVP8 makes a row of twice the width, of the chroma rows nearest to it and next to that. The halves are rounded as libwebp's
// upsampling.c rounds them: the mean of the four samples first.
func upsampleVP8(out, near, far []uint8) {
	n := len(near)
	out[0] = uint8((3*int32(near[0]) + int32(far[0]) + 2) >> 2)
	for x := 1; x < n; x++ {
		nearLeft, nearRight, farLeft, farRight := int32(near[x-1]), int32(near[x]), int32(far[x-1]), int32(far[x])
		sum := nearLeft + nearRight + farLeft + farRight + 8
		out[2*x-1] = uint8(((sum+2*(nearRight+farLeft))>>3 + nearLeft) >> 1)
		out[2*x] = uint8(((sum+2*(nearLeft+farRight))>>3 + nearRight) >> 1)
	}
	out[2*n-1] = uint8((3*int32(near[n-1]) + int32(far[n-1]) + 2) >> 2)
}

// clip6 rounds down a number of 6 binary places to a byte.
func clip6(v int32) uint8 {
	return uint8(min(max(v>>6, 0), 255))
}
