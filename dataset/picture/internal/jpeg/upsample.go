package jpeg

// upsampler brings the rows of one component to the picture's full width and height, as libjpeg's jdsample.c does.
type upsampler struct {
	plane         []uint8
	stride        int
	width, height int // of the component
	across, down  int // how many pixels of the picture lie in one sample
	fancyAcross   bool
	fancyDown     bool
	out           []uint8
	sums          []int32 // of two rows, for the triangle filter in both directions
}

func (d *decoder) newUpsampler(c *component) (*upsampler, error) {
	if d.maxH%c.h != 0 || d.maxV%c.v != 0 {
		return nil, unsupported("JPEG whose components' sizes are not whole parts of each other")
	}
	u := &upsampler{
		plane: c.plane, stride: 8 * c.blocksAcross, width: c.width, height: c.height,
		across: d.maxH / c.h, down: d.maxV / c.v,
	}
	// A triangle filter is for halves alone, and in the width not for components of two samples or fewer.
	switch {
	case u.across == 2 && u.down <= 2:
		u.fancyAcross = u.width > 2
		u.fancyDown = u.fancyAcross && u.down == 2
	case u.across == 1 && u.down == 2:
		u.fancyDown = true
	}
	if u.across > 1 || u.down > 1 {
		u.out = make([]uint8, u.width*u.across)
	}
	if u.fancyAcross && u.fancyDown {
		u.sums = make([]int32, u.width)
	}
	return u, nil
}

// row is the picture's row y; it is overwritten by the next call.
func (u *upsampler) row(y int) []uint8 {
	near := u.sampleRow(y / u.down)
	if !u.fancyDown {
		switch {
		case u.fancyAcross:
			triangle(u.out, near)
			return u.out
		case u.across == 1:
			return near
		}
		for x := range u.out {
			u.out[x] = near[x/u.across]
		}
		return u.out
	}
	far := u.sampleRow(y/2 - 1 + y%2*2)
	if !u.fancyAcross {
		bias := 1 + y%2
		for x, v := range near {
			u.out[x] = uint8((3*int(v) + int(far[x]) + bias) >> 2)
		}
		return u.out
	}
	for x, v := range near {
		u.sums[x] = 3*int32(v) + int32(far[x])
	}
	triangleSums(u.out, u.sums)
	return u.out
}

// sampleRow is the component's row y, and beyond its edges the nearest.
func (u *upsampler) sampleRow(y int) []uint8 {
	y = min(max(y, 0), u.height-1)
	return u.plane[y*u.stride:][:u.width]
}

// triangle doubles a row: each pixel is three quarters of the nearer sample and one of the farther. The halves that rounding
// meets are rounded down at the left of a sample and up at its right, so that there is no drift.
func triangle(out, in []uint8) {
	n := len(in)
	out = out[:2*n]
	out[0], out[1] = in[0], uint8((3*int32(in[0])+int32(in[1])+2)>>2)
	before, v := int32(in[0]), int32(in[1])
	for i := 1; i < n-1; i++ {
		after := int32(in[i+1])
		out[2*i] = uint8((3*v + before + 1) >> 2)
		out[2*i+1] = uint8((3*v + after + 2) >> 2)
		before, v = v, after
	}
	out[2*n-2], out[2*n-1] = uint8((3*v+before+1)>>2), uint8(v)
}

// triangleSums is triangle for sums of two rows, four times as large as the samples.
func triangleSums(out []uint8, in []int32) {
	n := len(in)
	out = out[:2*n]
	out[0], out[1] = uint8((4*in[0]+8)>>4), uint8((3*in[0]+in[1]+7)>>4)
	before, v := in[0], in[1]
	for i := 1; i < n-1; i++ {
		after := in[i+1]
		out[2*i] = uint8((3*v + before + 8) >> 4)
		out[2*i+1] = uint8((3*v + after + 7) >> 4)
		before, v = v, after
	}
	out[2*n-2], out[2*n-1] = uint8((3*v+before+8)>>4), uint8((4*v+7)>>4)
}
