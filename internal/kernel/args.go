package kernel

import "unsafe"

// productArgs describes one panel of a matrix product, C[r] (+)= Σ_k A[r][k]·B[k], where a row of B
// and of C is one panel wide (two vectors; one in the narrow kernel). Row r of A starts at
// A+AOffsets[r], row r of C at C+COffsets[r]. The sum runs over Runs×Length steps: after each step
// A moves by AStep and B by BStep, after each run by AJump and BJump more. That one loop serves a
// dense layer (one run), the taps of a convolution (a run a kernel row) and the gradient of its
// weights (a run an output row). Offsets, steps and jumps are in bytes.
type productArgs struct {
	A          unsafe.Pointer
	AOffsets   *int64
	C          unsafe.Pointer
	COffsets   *int64
	B          unsafe.Pointer
	Init       unsafe.Pointer // a panel row that each row of C starts from; nil: C is added to
	Mask       unsafe.Pointer // a panel row of int32, −1 for the columns of C that exist; nil: all do
	M          int
	Runs       int
	Length     int
	AStep      int
	AJump      int
	BStep      int
	BJump      int
	Floor      float32        // C = max(C, Floor), NaN kept; a NaN floor changes nothing
	Ceiling    float32        // C = min(C, Ceiling), NaN kept; 0 changes nothing
	scratch    [4]int         // the assembly's
	Groups     int            // the sum is of so many times Runs; 0 is 1
	AGroupJump int            // bytes that A moves by between them
	BGroupJump int            // the same of B
	left       int            // the assembly's
	Add        unsafe.Pointer // rows that are added before C is bounded, at the offsets of C's; nil: none
	Gate       unsafe.Pointer // a gate by which C is multiplied last, see Gate; nil: none
	// Lines from Fetch to FetchEnd are brought into the second-level cache meanwhile, one with each
	// step of the sum, FetchStep bytes with each tile of rows, by which Fetch moves on. They are
	// addresses that nobody reads from.
	Fetch     uintptr
	Panel     int // of a pair of panels, how far the second lies from the first
	FetchEnd  uintptr
	FetchStep int
}

// sparseArgs describes sums of scaled blocks: for each bucket, dst[r] += Σ value·src[offset][r]
// over its items, for the rows r of a block, of each of some pieces of the whole. The kernel's name
// says how many rows and vectors a block has.
type sparseArgs struct {
	Dst     unsafe.Pointer
	Src     unsafe.Pointer
	Buckets *bucket
	Count   int
	Items   *item
	DstRow  int            // bytes from one row of a destination block to the next
	SrcRow  int            // the same in the source
	Mask    unsafe.Pointer // a vector of int32, −1 for the lanes that exist of each row's last vector; nil: all do
	Shifts  *shift         // each bucket is summed once for each shift
	Pieces  int            // how many
}

// shift is added to the places of a block's destination and sources, in bytes.
type shift struct{ dst, src int }

// bucket is a destination and the items that are added to it.
type bucket struct {
	dst   int32 // bytes
	count int32
	start int32 // bytes from sparseArgs.Items
	_     int32
}

// item is a non-zero gradient and the source block that it scales.
type item struct {
	value float32
	src   int32 // bytes
}

// sparseRowArgs describes rows of a product, C[r] = start + Σ value·B[src] over the items of the
// row's list. The kernel's name says how many vectors a row has.
type sparseRowArgs struct {
	C     unsafe.Pointer
	CStep int // bytes from row to row
	B     unsafe.Pointer
	Lists *list
	Items *item
	Rows  int
	Start unsafe.Pointer // a row that each row of C starts from; nil: C is added to
	Mask  unsafe.Pointer // a vector of int32, −1 for the lanes that exist of each row's last vector; nil: all do
	Floor float32        // C = max(C, Floor), NaN kept; a NaN floor changes nothing
	_     float32
}

// list is a row's items.
type list struct {
	start int32 // bytes from sparseRowArgs.Items
	count int32
}

// gatherArgs describes the lists of the non-zero gradients of eight channels that lie side by side:
// of each window, the gradient, unless its index is positionNone, and Base plus the window's
// Positions[index], which has eight elements or fewer. Entries go to Items at the channel's cursor,
// which moves on; room for one more than are kept is needed. Sums gains the gradients.
type gatherArgs struct {
	Gradient     unsafe.Pointer
	GradientStep int // bytes from window to window
	Index        unsafe.Pointer
	IndexStep    int
	Positions    unsafe.Pointer
	PositionStep int
	Windows      int
	Base         int
	Items        *item
	Cursors      *[8]int
	Sums         *[8]float32
	scratch      int // the assembly's
}

// poolArgs describes maxima over windows: Elements entries a window, read from Src+entry.src. The
// maximum is stored with the entry's position, or with positionNone where it is not above Floor. The
// loop of maxima alone reads neither Index nor Floor.
type poolArgs struct {
	Src       unsafe.Pointer
	Entries   *poolEntry
	Y         unsafe.Pointer
	YStep     int // bytes from window to window
	Index     unsafe.Pointer
	IndexStep int
	Windows   int
	Elements  int
	Vectors   int
	Floor     float32 // 0 rectifies; NaN changes nothing
	_         float32
}

// averageArgs describes means over windows, or, in the other direction, the equal parts of their
// gradients: Elements entries a window, at X+entry.src, and the window's value at Y. Vectors of
// lanes are read and written, the last one where Mask says.
type averageArgs struct {
	X        unsafe.Pointer
	Entries  *poolEntry
	Y        unsafe.Pointer
	YStep    int // bytes from window to window
	Windows  int
	Elements int
	Vectors  int
	Mask     unsafe.Pointer // a vector of int32, −1 for the lanes that exist of the last vector
	Divisor  float32
	_        float32
}

type poolEntry struct {
	src      int32 // bytes
	position int32
}

// positionNone stands for the position of a maximum that ReLU cut off.
const positionNone = 0xffff

type adamConstants struct {
	keep, decay, rate1, beta2, rate2, step, correction, epsilon float32
	decayed                                                     int32
}

// lionConstants has the bounds of a sign, −1 and 1, and a number whose square takes any float32 but
// 0 to them.
type lionConstants struct {
	keep, rate1, rate2, step, huge, low, high float32
}

type sgdConstants struct {
	decay, momentum, fresh, rate       float32
	decayed, buffered, first, nesterov int32
}

type rmspropConstants struct {
	decay, alpha, rest, momentum, rate, epsilon float32
	decayed, centred, buffered                  int32
}

// normaliseArgs describes a pass of batch normalisation over Rows rows of Vectors vectors of
// channels, RowStep bytes apart in X, Y and Dy. With the vectors mean, scale, bias, a, b and c of
// Table, six for each vector of channels, and centred = x − mean, the forward pass is y =
// clamp(centred·scale + bias); its gradient is Y = a·g + b·centred + c, where g is dy where nothing
// was clamped and 0 elsewhere. The sums are, as float64, two vectors' worth for each vector of
// channels: of centred and of its square or, for the gradient, of g and of g·centred. They are
// added to.
type normaliseArgs struct {
	X, Y, Dy  unsafe.Pointer
	RowStep   int
	Rows      int
	Vectors   int
	Table     unsafe.Pointer
	Sums      unsafe.Pointer
	Low, High float32 // NaN does not clamp
	scratch   [4]int  // the assembly's
	Together  int     // rows that a pass takes a vector of channels of, before it goes on to the next vector
	counters  [2]int  // the assembly's
}

// normaliseTable is how many vectors of normaliseArgs.Table there are for each vector of channels.
const normaliseTable = 6

// depthwiseArgs describes a row of positions of a depthwise convolution: y[p] = bias + Σ
// w[tap]·x[p·XStep + tap], for Vectors vectors of channels. Steps are in bytes, and may be those of
// every second position.
type depthwiseArgs struct {
	X         unsafe.Pointer
	XStep     int
	W         unsafe.Pointer
	Taps      *depthwiseTap
	Count     int // of taps
	Y         unsafe.Pointer
	YStep     int
	Positions int
	Vectors   int
	Bias      unsafe.Pointer
	Low, High float32        // bounds of y, NaN kept; a NaN bound does not bound
	Gate      unsafe.Pointer // a gate by which y is multiplied last, see Gate; nil: none
	// Lines from Fetch to FetchEnd are brought into the second-level cache meanwhile, FetchEach with
	// each position of each vector, by which Fetch moves on. They are addresses that nobody reads
	// from.
	Fetch, FetchEnd uintptr
	FetchEach       int
}

// depthwiseTap is where a tap's input lies, from a position's first, and where its weights; in
// bytes.
type depthwiseTap struct{ x, w int }

// affineArgs describes rows of Vectors vectors of channels: y = x·scale + shift, at least Low and
// at most High, NaN kept. Steps are in bytes.
type affineArgs struct {
	X, Y         unsafe.Pointer
	XStep, YStep int
	Rows         int
	Vectors      int
	Scale, Shift unsafe.Pointer
	Low, High    float32 // NaN does not bound
}

// rowArgs describes one row of a product, y = max(x·B + bias, Floor), of Panels panels of B, two
// vectors wide and Panel bytes apart. A NaN floor changes nothing.
type rowArgs struct {
	X       unsafe.Pointer
	Depth   int
	B       unsafe.Pointer
	Panel   int
	Bias, Y unsafe.Pointer
	Panels  int // which the assembly counts down
	Floor   float32
	_       float32
}

// depthwiseGradientArgs describes a part of the gradient of up to eight taps TapStep apart: dw[tap]
// += Σ over positions p of rows r of dy[r][p]·x[r·XRow + p·XStep + tap·TapStep], for Vectors
// vectors of channels. The gradients are DwStep apart.
type depthwiseGradientArgs struct {
	X         unsafe.Pointer
	XStep     int
	XRow      int
	TapStep   int
	Taps      int
	Dy        unsafe.Pointer
	DyStep    int
	DyRow     int
	Rows      int
	Positions int
	Vectors   int
	Dw        unsafe.Pointer
	DwStep    int
	scratch   [3]int // the assembly's
	// Fetch and FetchEnd are as of depthwiseArgs, a line with each position of each vector, for each
	// row of taps.
	Fetch, FetchEnd uintptr
}
