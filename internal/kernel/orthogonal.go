package kernel

import (
	"fmt"
	"math"
)

// Orthogonal makes matrices nearly orthogonal: of X = U·S·Vᵀ, its singular value decomposition, it
// makes about U·Vᵀ. With X ← X/‖X‖ first, it takes five of Jordan's steps after Newton and Schulz
// ("Muon: An optimizer for hidden layers in neural networks", 2024):
//
//	G ← X·Xᵀ    X ← a·X + (b·G + c·G²)·X,  a = 3.4445, b = −4.775, c = 2.0315
//
// They take every singular value to one between 0.68 and 1.13, about, but for those below a
// thousandth of the norm. A plan owns its scratch memory: its methods must not run at the same time
// as each other.
type Orthogonal struct {
	rows, columns int
	set           *Set
	pass          *Elementwise
	wide, square  *Dense
	// x is the matrix with no more rows than columns; next, what a step makes of it.
	x, next, gram, update, zero []float32
}

// The steps of NewOrthogonal, and the norm below which nothing is divided by it, PyTorch's.
const (
	orthogonalSteps             = 5
	stepA, stepB, stepC float64 = 3.4445, -4.775, 2.0315
	smallestNorm                = 1e-7
)

// NewOrthogonal returns a plan for matrices of that size, or an error that says what is wrong with
// it.
func NewOrthogonal(engine Engine, rows, columns int) (*Orthogonal, error) {
	if rows < 1 || columns < 1 {
		return nil, fmt.Errorf("kernel: matrix %d×%d: sizes must be positive", rows, columns)
	}
	o := &Orthogonal{rows: rows, columns: columns, set: engine.Set}
	short, long := min(rows, columns), max(rows, columns)
	var err error
	if o.pass, err = NewElementwise(engine); err != nil {
		return nil, err
	}
	if o.wide, err = NewDense(engine, DenseConfig{Batch: short, In: long, Out: short}); err != nil {
		return nil, err
	}
	if o.square, err = NewDense(engine, DenseConfig{Batch: short, In: short, Out: short}); err != nil {
		return nil, err
	}
	o.x, o.next = aligned(short*long), aligned(short*long)
	o.gram, o.update, o.zero = aligned(short*short), aligned(short*short), make([]float32, short)
	return o, nil
}

// Run writes what is nearly orthogonal into x, Rows×Columns. A matrix of zeros stays.
func (o *Orthogonal) Run(x []float32) error {
	if err := lengths("orthogonal", size{"x", len(x), o.rows * o.columns}); err != nil {
		return err
	}
	_, squares := o.pass.Sums(x)
	turned := o.rows > o.columns
	if turned {
		transposeMatrix(o.set, o.next, o.rows, x, o.columns, o.rows, o.columns)
	} else {
		copy(o.next, x)
	}
	clear(o.x)
	if err := o.pass.AddScaled(o.x, o.next,
		float32(1/max(math.Sqrt(squares), smallestNorm))); err != nil {
		return err
	}
	for range orthogonalSteps {
		if err := o.step(); err != nil {
			return err
		}
	}
	if turned {
		transposeMatrix(o.set, x, o.columns, o.x, o.rows, o.columns, o.rows)
	} else {
		copy(x, o.x)
	}
	return nil
}

// step is one of Newton and Schulz's.
func (o *Orthogonal) step() error {
	if err := o.wide.Forward(o.gram, o.x, o.x, o.zero); err != nil {
		return err
	}
	// The Gram matrix is symmetric: G·Gᵀ is G².
	if err := o.square.Forward(o.update, o.gram, o.gram, o.zero); err != nil {
		return err
	}
	o.combine(o.update, o.gram, stepC, stepB)
	if err := o.wide.BackwardInput(o.next, o.update, nil, o.x); err != nil {
		return err
	}
	o.combine(o.next, o.x, 1, stepA)
	o.x, o.next = o.next, o.x
	return nil
}

// combine computes z ← keep·z + share·x. It is a step of SGD on z with the gradient x, the rate
// −share and a decay that keeps so much: z + share·(x + z·(keep − 1)/share).
func (o *Orthogonal) combine(z, x []float32, keep, share float64) {
	o.pass.run(job{kind: opSGD, n: len(z), z: z, x: x, sgd: sgdConstants{
		decay: float32((keep - 1) / share), decayed: flag(keep != 1), rate: float32(-share),
	}})
}
