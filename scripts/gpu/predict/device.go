package main

// span is a figure that is not known well: it lies between low and high.
type span struct{ low, high float64 }

func (s span) plus(t span) span       { return span{s.low + t.low, s.high + t.high} }
func (s span) times(f float64) span   { return span{s.low * f, s.high * f} }
func (s span) atLeast(t span) span    { return span{max(s.low, t.low), max(s.high, t.high)} }
func (s span) middle() float64        { return (s.low + s.high) / 2 }
func (s span) shareOf(t span) float64 { return s.middle() / t.middle() }

// What is assumed of an NVIDIA H200. assumptions.md says where each figure comes from, and changes
// with it.
const (
	multiprocessors = 132
	clock           = 1.98e9 // cycles a second
	schedulers      = 4      // of a multiprocessor; each issues one warp's instruction a cycle
	warpThreads     = 32
	mostThreads     = 2048  // on a multiprocessor at a time
	registers       = 65536 // of a multiprocessor
	floatRate       = 66.9e12
)

var (
	// launchFloor is what a launch in a CUDA graph takes beside its work, in µs. Its low end counts
	// where the work is shorter: the work hides in it. Its high end adds to the work.
	launchFloor = span{1.3, 2.3}
	// cacheSize is what the second-level cache keeps, in bytes: all of it at best.
	cacheSize = span{25 << 20, 50 << 20}
	// Bytes a second.
	cacheRate  = span{6.1e12, 9.8e12}
	memoryRate = span{3.4e12, 4.8e12}
	// libraryShare is which part of the arithmetic rate a library's kernel reaches on the
	// multiprocessors that it uses.
	libraryShare = span{0.5, 1}
)

// Tiles of outputs that a block of a library's kernel computes, and on how many multiprocessors
// the sums of a filter's gradient are at least divided.
const (
	tileRows, tileColumns = 64, 32
	leastDivided          = multiprocessors / 4
)

// Cycles until a result can be used, by the kind of instruction.
var latencies = map[class]span{
	fixed:    {4, 5},
	double:   {8, 16},
	special:  {18, 36},
	constant: {8, 34},
	shared:   {23, 34},
	control:  {8, 16},
	barrier:  {20, 40},
	fence:    secondLevel, // until what was written before can be seen there
}

// Cycles until a load is there: from the first-level cache, the second, or memory.
var (
	firstLevel  = span{34, 40}
	secondLevel = span{265, 475}
	fromMemory  = span{650, 690}
)

// Cycles that an instruction of a warp keeps its unit, by the kind: 32 threads on so many lanes.
var occupancies = map[class]span{
	fixed: {1, 2}, double: {2, 2}, special: {2, 8}, constant: {1, 1}, shared: {1, 4}, control: {1, 1},
	barrier: {1, 1}, fence: {1, 1}, load: {1, 4}, store: {1, 4},
}
