package kernel

import (
	"fmt"
	"unsafe"
)

// measured are sums that the plan next to a normalisation takes, image by image, of what it has
// just stored and so finds in its caches: passes over memory that the normalisation need not make.
// They are brought together in the order of the images, whoever took them. Those of x are of what
// it differs from the image's first row by, so that values far from zero lose nothing; those of the
// gradient of what the one mean is.
type measured struct {
	images, rows int         // rows of an image
	sums         []float64   // by image, as partial
	centres      []float32   // of x, by image: its first row
	tables       [][]float32 // of x, by worker: the centre where the loops read it
	task         func(worker, item int)
}

// measuredChannels is how many channels' sums are brought together at a time.
const measuredChannels = 64

// fits reports an error where the normalisation is not of so many elements of so many channels.
func (b *BatchNorm) fits(channels, elements int) error {
	if f := b.config; f.Channels != channels || f.Rows*f.Channels != elements {
		return fmt.Errorf("a normalisation of %d×%d for %d elements of %d channels", f.Rows, f.Channels,
			elements, channels)
	}
	return nil
}

func (b *BatchNorm) newMeasured(images int, task func(worker, item int)) *measured {
	return &measured{images: images, rows: b.config.Rows / images,
		sums: make([]float64, 2*images*b.config.Channels), task: task}
}

// measureIn makes ready for so many images to be measured by another plan.
func (b *BatchNorm) measureIn(images int) {
	b.measured = b.newMeasured(images, b.combineItem)
	b.measured.centres = make([]float32, images*b.config.Channels)
	for range b.work {
		b.measured.tables = append(b.measured.tables, aligned(normaliseTable*b.config.Channels))
	}
}

// measureGradientsIn is measureIn of the gradient.
func (b *BatchNorm) measureGradientsIn(images int) {
	b.measuredGradients = b.newMeasured(images, b.combineGradientItem)
}

// gradientMeasured says that all images of the gradient that comes next are measured.
func (b *BatchNorm) gradientMeasured() { b.taken = takenByReader }

// measure takes the sums of an image of x.
func (b *BatchNorm) measure(worker, image int, x []float32) {
	b.measureTo(worker, image, x, 0, b.measured.rows)
}

// measureGradient takes the sums of an image of dy; x is that of Prepare.
func (b *BatchNorm) measureGradient(worker, image int, dy, x []float32) {
	b.measureGradientTo(worker, image, dy, x, 0, b.measuredGradients.rows)
}

// measureTo takes the sums of an image of x from one of its rows up to another, where that is the
// last, or whole sums before it. It returns up to where it came, from where the worker goes on once
// there are more rows. The sums have the bits of measure.
func (b *BatchNorm) measureTo(worker, image int, x []float32, from, to int) (came int) {
	m, c := b.measured, b.config.Channels
	table, centre := m.tables[worker], m.centres[image*c:(image+1)*c]
	if from == 0 {
		copy(centre, x)
		for _, s := range b.segments {
			for v := range s.vectors {
				copy(table[normaliseTable*(s.first+v*s.lanes):][:s.lanes], centre[s.first+v*s.lanes:])
			}
		}
	}
	to = m.whole(from, to)
	b.sumRows(&b.work[worker].own, b.goOn(m.sums, image, from), table, x[from*c:to*c], nil)
	return to
}

// measureGradientTo is measureTo of the gradient.
func (b *BatchNorm) measureGradientTo(worker, image int, dy, x []float32, from, to int) (came int) {
	m, c := b.measuredGradients, b.config.Channels
	to = m.whole(from, to)
	b.sumRows(&b.work[worker].own, b.goOn(m.sums, image, from), b.table, x[from*c:to*c],
		dy[from*c:to*c])
	return to
}

// summedRows is how many rows the loops sum in float32, before those sums go into float64.
const summedRows = 4

// whole returns the last row up to which sums can be taken without changing their bits: the loops
// begin anew with each call.
func (m *measured) whole(from, to int) int {
	if to < m.rows {
		to = from + (to-from)/summedRows*summedRows
	}
	return to
}

// goOn returns the sums of an image among those of all, cleared for its first row.
func (b *BatchNorm) goOn(all []float64, image, from int) []float64 {
	if from == 0 {
		return b.sumsOf(all, image)
	}
	n := 2 * b.config.Channels
	return all[image*n : (image+1)*n]
}

// sumRows adds the sums of some rows, of the gradient unless dy is nil.
func (b *BatchNorm) sumRows(a *normaliseArgs, sums []float64, table, x, dy []float32) {
	for most := b.block * b.config.Channels; len(x) > 0; {
		n := min(most, len(x))
		for i := range b.segments {
			s := &b.segments[i]
			b.args(a, s, x[:n], dy)
			a.Table, a.Sums = unsafe.Pointer(&table[normaliseTable*s.first]), unsafe.Pointer(
				&sums[2*s.first])
			if dy != nil {
				s.passes.gradientSums((*byte)(unsafe.Pointer(a)))
			} else {
				s.passes.sums((*byte)(unsafe.Pointer(a)))
			}
		}
		x = x[n:]
		if dy != nil {
			dy = dy[n:]
		}
	}
}

// combine sets the mean and the variance, or the gradient's sums.
func (b *BatchNorm) combine(m *measured) {
	b.engine.Pool.Run(b.parts*ceil(b.config.Channels, measuredChannels), m.task)
}

// combineItem brings a part's images' sums of some channels together: with d the difference of an
// image's centre and the mean, Σ (x − mean)² is Σ (x − centre)² + 2d·Σ (x − centre) + rows·d².
func (b *BatchNorm) combineItem(_, item int) {
	m, c := b.measured, b.config.Channels
	images, from, to, at := b.measuredPart(m, item)
	mean, variance := b.moments[0][at:at+to-from], b.moments[1][at:at+to-from]
	clear(mean)
	clear(variance)
	n := float64(images.count * m.rows)
	for image := images.first; image < images.first+images.count; image++ {
		sums, centres := m.sums[2*image*c:], m.centres[image*c+from:image*c+to]
		b.eachVector(from, to, func(i, at, lanes int) {
			mean, centres, first := mean[i:i+lanes], centres[i:i+lanes], sums[at:at+lanes]
			for k := range mean {
				mean[k] += float64(m.rows)*float64(centres[k]) + first[k]
			}
		})
	}
	for i := range mean {
		mean[i] /= n
	}
	for image := images.first; image < images.first+images.count; image++ {
		sums, centres := m.sums[2*image*c:], m.centres[image*c+from:image*c+to]
		b.eachVector(from, to, func(i, at, lanes int) {
			mean, variance, centres := mean[i:i+lanes], variance[i:i+lanes], centres[i:i+lanes]
			first, second := sums[at:at+lanes], sums[at+lanes:at+2*lanes]
			for k := range variance {
				d := float64(centres[k]) - mean[k]
				variance[k] += second[k] + d*(2*first[k]+float64(m.rows)*d)
			}
		})
	}
	for i, v := range variance {
		variance[i] = max(v/n, 0)
	}
}

func (b *BatchNorm) combineGradientItem(_, item int) {
	m, c := b.measuredGradients, b.config.Channels
	images, from, to, at := b.measuredPart(m, item)
	first, second := b.sums[0][at:at+to-from], b.sums[1][at:at+to-from]
	clear(first)
	clear(second)
	for image := images.first; image < images.first+images.count; image++ {
		sums := m.sums[2*image*c:]
		b.eachVector(from, to, func(i, at, lanes int) {
			first, second := first[i:i+lanes], second[i:i+lanes]
			one, other := sums[at:at+lanes], sums[at+lanes:at+2*lanes]
			for k := range first {
				first[k] += one[k]
				second[k] += other[k]
			}
		})
	}
}

// measuredPart returns the images of an item's part, its channels, and where they begin in what is
// kept of all parts.
func (b *BatchNorm) measuredPart(m *measured, item int) (images struct{ first, count int }, from,
	to, at int) {
	across := ceil(b.config.Channels, measuredChannels)
	part, c := item/across, b.config.Channels
	from = item % across * measuredChannels
	images.count = m.images / b.parts
	images.first = part * images.count
	return images, from, min(from+measuredChannels, c), part*c + from
}

// eachVector calls f for the vectors of channels from … to, which begin with vectors: with the
// vector's first channel, counted from from, and the place of its lanes' first sums, behind which
// are the second ones.
func (b *BatchNorm) eachVector(from, to int, f func(channel, at, lanes int)) {
	for _, s := range b.segments {
		last := min(to, s.first+s.lanes*s.vectors)
		for c := max(from, s.first); c < last; c += s.lanes {
			f(c-from, 2*c, s.lanes)
		}
	}
}
