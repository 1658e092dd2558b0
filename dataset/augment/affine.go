package augment

import (
	"errors"
	"fmt"
	"math"
)

// Scale zooms about the image's centre by a factor, uniform in the range; what lies outside is 0.
// It is torchvision's RandomAffine(0, scale=(From, To), BILINEAR) on Pillow's images.
type Scale struct {
	Factor Range // 0.9..1.1 if zero
}

// Name is "scale".
func (Scale) Name() string            { return "scale" }
func (o Scale) String() string        { return text(o) }
func (o Scale) settings() settings    { return &o }
func (o *Scale) operation() Operation { return *o }
func (o *Scale) fields() []field      { return []field{{"factor", &o.Factor, Range{0.9, 1.1}}} }
func (o Scale) check(Shape) error     { return checkFactor(o.Factor) }

func (o Scale) apply(c *canvas, d draws) {
	factor := o.Factor.at(d.block(0).unit(0))
	c.warp(inverse(c.centre(), 0, [2]float64{}, factor, [2]float64{}))
}

func checkFactor(r Range) error {
	if !r.ordered(0.01, 100) {
		return fmt.Errorf("the factor %v is not a range of 0.01..100, the smaller number first", r)
	}
	return nil
}

// Affine turns, shifts, zooms and shears about the image's centre, all at once; what lies outside
// is 0. It is torchvision's RandomAffine(Degrees, (Translate, Translate), (From, To), Shear,
// BILINEAR) on Pillow's images, to the byte for the same draws: Pillow repeats the outermost
// pixels by half a pixel, and cuts fractions off.
type Affine struct {
	Degrees   float64 // turned by up to this, to either side; 0…180
	Translate float64 // moved by up to this share of height and width, in whole pixels; 0…1
	Factor    Range   // zoomed by this; 1..1 if zero
	Shear     float64 // rows moved against each other by an angle of up to this; 0…80 degrees
}

// Name is "affine".
func (Affine) Name() string            { return "affine" }
func (o Affine) String() string        { return text(o) }
func (o Affine) settings() settings    { return &o }
func (o *Affine) operation() Operation { return *o }
func (o *Affine) fields() []field {
	return []field{
		{"degrees", &o.Degrees, 0.},
		{"translate", &o.Translate, 0.},
		{"factor", &o.Factor, Range{1, 1}},
		{"shear", &o.Shear, 0.},
	}
}

func (o Affine) check(Shape) error {
	switch {
	case o == Affine{Factor: Range{1, 1}}:
		return errors.New("it changes nothing; say by how much, as in affine=10:0.1:0.9..1.1:5 " +
			"(degrees, share of the size, factor, degrees of shear)")
	case !(o.Degrees >= 0 && o.Degrees <= 180):
		return fmt.Errorf("a rotation by up to %v degrees is outside 0…180", o.Degrees)
	case !(o.Translate >= 0 && o.Translate <= 1):
		return fmt.Errorf("a translation by up to %v of the size is outside 0…1", o.Translate)
	case !(o.Shear >= 0 && o.Shear <= 80):
		return fmt.Errorf("a shear by up to %v degrees is outside 0…80", o.Shear)
	}
	return checkFactor(o.Factor)
}

func (o Affine) apply(c *canvas, d draws) {
	w, v := d.block(0), d.block(1)
	angle := Range{-o.Degrees, o.Degrees}.at(w.unit(0))
	right, down := o.Translate*float64(c.Width), o.Translate*float64(c.Height)
	move := [2]float64{
		math.RoundToEven(Range{-right, right}.at(w.unit(1))),
		math.RoundToEven(Range{-down, down}.at(w.unit(2))),
	}
	factor := o.Factor.at(w.unit(3))
	shear := [2]float64{Range{-o.Shear, o.Shear}.at(v.unit(0))}
	c.warp(inverse(c.centre(), angle, move, factor, shear))
}

// matrix maps an output place (x, y) to the place (a·x + b·y + c, d·x + e·y + f) of the input, both
// in pixels from the upper left corner.
type matrix struct{ a, b, c, d, e, f float64 }

func (c *canvas) centre() [2]float64 {
	return [2]float64{float64(c.Width) * 0.5, float64(c.Height) * 0.5}
}

// inverse is torchvision's _get_inverse_affine_matrix: the inverse of T·C·R·S·Y·X·C⁻¹, with T the
// translation, C that of the centre, R the rotation, clockwise to the eye, S the zoom, Y and X the
// shears along y and x. Angles are in degrees. The conversions forbid fused multiplications.
func inverse(centre [2]float64, angle float64, move [2]float64, factor float64,
	shear [2]float64) matrix {
	const degree = math.Pi / 180
	turn, sx, sy := angle*degree, shear[0]*degree, shear[1]*degree
	cosine, sine := math.Cos(turn-sy), math.Sin(turn-sy)
	a := cosine / math.Cos(sy)
	b := float64(-cosine*math.Tan(sx)/math.Cos(sy)) - math.Sin(turn)
	c := sine / math.Cos(sy)
	d := float64(-sine*math.Tan(sx)/math.Cos(sy)) + math.Cos(turn)
	m := matrix{a: d / factor, b: -b / factor, d: -c / factor, e: a / factor}
	x, y := -centre[0]-move[0], -centre[1]-move[1]
	m.c = float64(float64(m.a*x)+float64(m.b*y)) + centre[0]
	m.f = float64(float64(m.d*x)+float64(m.e*y)) + centre[1]
	return m
}

// warp is Pillow's Image.transform with AFFINE and BILINEAR: pixel centres lie at halves, what
// comes from outside the image is 0, within half a pixel of its edge the outermost pixels are
// repeated, and fractions are cut off.
func (c *canvas) warp(m matrix) {
	to, from := c.other(), c.now
	width, height := float64(c.Width), float64(c.Height)
	for y := range c.Height {
		py := float64(y) + 0.5
		rowX, rowY := float64(m.b*py), float64(m.e*py)
		for x := range c.Width {
			px := float64(x) + 0.5
			fromX := float64(m.a*px) + rowX + m.c
			fromY := float64(m.d*px) + rowY + m.f
			// Written so that NaN is outside.
			if fromX >= 0 && fromX < width && fromY >= 0 && fromY < height {
				c.between(to, from, y*c.Width+x, fromX-0.5, fromY-0.5)
				continue
			}
			for i := y*c.Width + x; i < len(to); i += c.plane() {
				to[i] = 0
			}
		}
	}
	c.turn(to)
}

// between writes pixel i of each channel: the one at a place that is counted in pixels from the
// centre of the first, of the four pixels around it.
func (c *canvas) between(to, from []uint8, i int, x, y float64) {
	column, row := math.Floor(x), math.Floor(y)
	across, down := x-column, y-row
	left, right := max(int(column), 0), min(int(column)+1, c.Width-1)
	upper, lower := max(int(row), 0)*c.Width, min(int(row)+1, c.Height-1)*c.Width
	plane := c.plane()
	for ; i < len(to); i += plane {
		a, b := float64(from[upper+left]), float64(from[upper+right])
		e, f := float64(from[lower+left]), float64(from[lower+right])
		first := a + float64((b-a)*across)
		second := e + float64((f-e)*across)
		to[i] = uint8(int(first + float64((second-first)*down)))
		upper, lower = upper+plane, lower+plane
	}
}

// warpNearest is Pillow's Image.transform with AFFINE and NEAREST. Pillow adds up steps, of 16 bits
// behind the point, or of float64 where rows and columns stay such; its sums are followed.
func (c *canvas) warpNearest(m matrix) {
	if m.b == 0 && m.d == 0 {
		c.scaleNearest(m)
		return
	}
	fixed := func(v float64) int { return int(math.Floor(float64(v*65536) + 0.5)) }
	a, b, d, e := fixed(m.a), fixed(m.b), fixed(m.d), fixed(m.e)
	beginX := fixed(float64(m.c+float64(m.a*0.5)) + float64(m.b*0.5))
	beginY := fixed(float64(m.f+float64(m.d*0.5)) + float64(m.e*0.5))
	c.planes(func(to, from []uint8) {
		for y := range c.Height {
			fromX, fromY := beginX+y*b, beginY+y*e
			row := to[y*c.Width:][:c.Width]
			for x := range row {
				i, j := fromX>>16, fromY>>16
				row[x] = 0
				if i >= 0 && i < c.Width && j >= 0 && j < c.Height {
					row[x] = from[j*c.Width+i]
				}
				fromX, fromY = fromX+a, fromY+d
			}
		}
	})
}

func (c *canvas) scaleNearest(m matrix) {
	c.columns = c.columns[:0]
	place := m.c + float64(m.a*0.5)
	for range c.Width {
		column := -1
		if place >= 0 && place < float64(c.Width) {
			column = int(place)
		}
		c.columns = append(c.columns, column)
		place += m.a
	}
	c.planes(func(to, from []uint8) {
		place := m.f + float64(m.e*0.5)
		for y := range c.Height {
			row := to[y*c.Width:][:c.Width]
			clear(row)
			if place >= 0 && place < float64(c.Height) {
				source := from[int(place)*c.Width:][:c.Width]
				for x, column := range c.columns {
					if column >= 0 {
						row[x] = source[column]
					}
				}
			}
			place += m.e
		}
	})
}
