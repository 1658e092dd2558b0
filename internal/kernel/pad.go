package kernel

import "fmt"

// Pad is a plan that makes maps of others, row by row and column by column: N×H×W×C to N×OH×OW×C,
// where row i of the output is row Rows[i] of the input, and column j its column Columns[j]; −1
// stands for zeros. The gradient of a value is the sum of those of its copies, in reading order.
// Its methods must not run at the same time as each other.
type Pad struct {
	engine                  Engine
	batch, channels         int
	height, width           int
	rows, columns           []int
	rowCopies, columnCopies [][]int // by row, or column, of the input: those of the output
	x, y                    []float32
	forwardTask, backTask   func(worker, item int)
}

// NewPad returns a plan.
func NewPad(engine Engine, batch, height, width, channels int, rows, columns []int) (*Pad, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	for _, f := range []ChannelsConfig{
		{batch * height, width, channels}, {batch * len(rows), len(columns), channels},
	} {
		if err := f.check("padding"); err != nil {
			return nil, err
		}
	}
	p := &Pad{engine: engine, batch: batch, channels: channels, height: height, width: width,
		rows: rows, columns: columns}
	var err error
	if p.rowCopies, err = copies(rows, height); err != nil {
		return nil, err
	}
	if p.columnCopies, err = copies(columns, width); err != nil {
		return nil, err
	}
	p.forwardTask, p.backTask = p.forwardItem, p.backItem
	return p, nil
}

// copies lists, for each of n sources, the places that name it.
func copies(sources []int, n int) ([][]int, error) {
	all := make([][]int, n)
	for i, source := range sources {
		if source < -1 || source >= n {
			return nil, fmt.Errorf("kernel: padding: source %d of %d", source, n)
		}
		if source >= 0 {
			all[source] = append(all[source], i)
		}
	}
	return all, nil
}

// Forward computes y from x.
func (p *Pad) Forward(y, x []float32) error {
	return p.run(y, x, p.batch*len(p.rows), p.forwardTask)
}

// Backward computes dx from dy.
func (p *Pad) Backward(dx, dy []float32) error {
	return p.run(dy, dx, p.batch*p.height, p.backTask)
}

func (p *Pad) run(y, x []float32, items int, task func(worker, item int)) error {
	if err := lengths("padding", size{"input", len(x), p.batch * p.height * p.width * p.channels},
		size{"output", len(y), p.batch * len(p.rows) * len(p.columns) * p.channels}); err != nil {
		return err
	}
	p.y, p.x = y, x
	p.engine.Pool.Run(items, task)
	p.y, p.x = nil, nil
	return nil
}

// forwardItem writes one row of one image.
func (p *Pad) forwardItem(_, item int) {
	image, source := item/len(p.rows), p.rows[item%len(p.rows)]
	y := p.y[item*len(p.columns)*p.channels:][:len(p.columns)*p.channels]
	if source < 0 {
		clear(y)
		return
	}
	x := p.x[(image*p.height+source)*p.width*p.channels:]
	for j, column := range p.columns {
		to := y[j*p.channels : (j+1)*p.channels]
		if column < 0 {
			clear(to)
		} else {
			copy(to, x[column*p.channels:])
		}
	}
}

// backItem adds up the gradients of one row of one image.
func (p *Pad) backItem(_, item int) {
	image, row := item/p.height, item%p.height
	for column, copies := range p.columnCopies {
		sums := p.x[(item*p.width+column)*p.channels:][:p.channels]
		clear(sums)
		for _, i := range p.rowCopies[row] {
			for _, j := range copies {
				dy := p.y[((image*len(p.rows)+i)*len(p.columns)+j)*p.channels:]
				p.engine.Set.addScaledSlice(sums, dy[:p.channels], 1)
			}
		}
	}
}
