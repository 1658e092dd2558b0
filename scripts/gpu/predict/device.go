package main

// span is a figure that is not known well: it lies between low and high.
type span struct{ low, high float64 }

func (s span) plus(t span) span       { return span{s.low + t.low, s.high + t.high} }
func (s span) times(f float64) span   { return span{s.low * f, s.high * f} }
func (s span) atLeast(t span) span    { return span{max(s.low, t.low), max(s.high, t.high)} }
func (s span) middle() float64        { return (s.low + s.high) / 2 }
func (s span) shareOf(t span) float64 { return s.middle() / t.middle() }

// What is assumed of an NVIDIA H200. assumptions says where each figure comes from.
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
}

// Cycles until a load is there: from the first-level cache, the second, or memory.
var (
	firstLevel  = span{34, 40}
	secondLevel = span{265, 475}
	fromMemory  = span{650, 690}
)

// Cycles that an instruction of a warp keeps its unit, by the kind: 32 threads on so many lanes.
var occupancies = map[class]span{
	fixed: {1, 2}, double: {2, 2}, special: {2, 8}, constant: {1, 1}, shared: {1, 2}, control: {1, 1},
	barrier: {1, 1}, load: {1, 2}, store: {1, 2},
}

// An assumption is a line of the page's table.
type assumption struct{ what, figure, source string }

const (
	gpuBenches = "gpu-benches (github.com/te42kyfo/gpu-benches)"
	noSource   = "**no source**: ours, wide on purpose"
)

var assumptions = []assumption{
	{"a launch in a CUDA graph, beside its work", "1.3 to 2.3 µs",
		"low: an H100 between dummy kernels in a graph (Hazy Research, “Look Ma, No Bubbles!”, 2025, as reported of it). " +
			"High: an **H200**, 10,000 dependent kernels in one graph, 2.3 µs each while they move less than 1 MB (" +
			gpuBenches + ", gpu-small-kernels/h200_graph.txt). An RTX 5070 Ti's empty kernels took 0.6 µs " +
			"(github.com/ahrefs/ocannl, issue 488): a newer driver may be below the low end"},
	{"multiprocessors, clock", "132, 1.98 GHz", "NVIDIA's data sheet of the H200; the clock held under load in gpu-roofline/h200.txt of gpu-benches"},
	{"float32 without tensor cores", "66.9 TFLOP/s, evenly over the multiprocessors", "NVIDIA's data sheet of the H200 (67); 132 × 4 × 32 lanes × 2 × 1.98 GHz"},
	{"memory", "3.4 to 4.8 TB/s", "high rate: NVIDIA's data sheet; low rate: what gpu-small-kernels/h200_graph.txt of gpu-benches tends to"},
	{"second-level cache", "6.1 to 9.8 TB/s", "high rate: reading alone, gpu-l2-cache/h200.txt of gpu-benches; low rate: reading and writing, the slope of gpu-small-kernels/h200_graph.txt from 6 to 17 MB"},
	{"what that cache keeps", "25 to 50 MB", "50 MB in two halves (NVIDIA's H100 white paper; README of gpu-benches). What a launch touches is there if less than that was touched since it was touched last, in the step before, too"},
	{"a load: first level, second level, memory", "34 to 40, 265 to 475, 650 to 690 cycles",
		"gpu-latency/h100_pcie.txt of gpu-benches: 34, 265 in the near half and 475 in the far one, 650; a GH200: 40, 281, 690 (github.com/markdewing/AI_kernels)"},
	{"float32 and integer arithmetic", "4 to 5 cycles", "4: Jia et al., arXiv:1804.06826 (Volta); no figure for Hopper was found"},
	{"float64 arithmetic", "8 to 16 cycles, 2 to issue", "8: a V100 in the README of gpu-benches; high: twice that. 64 lanes: CUDA C++ Programming Guide, arithmetic throughput, 9.0"},
	{"conversions, reciprocals, roots", "18 to 36 cycles, 2 to 8 to issue", noSource + "; 16 lanes for the slowest: CUDA C++ Programming Guide"},
	{"shared memory, constants, branches, barriers", "23 to 34, 8 to 34, 8 to 16, 20 to 40 cycles", noSource + ", but for the first: Jia et al. and the first-level cache above"},
	{"how often a thread goes round a loop", "counted", "the simulator runs each kernel and counts its accesses to memory by line of source; a loop's instructions are those of `ptxas` for sm_90, its rounds what its loads' lines say"},
	{"bytes of a kernel of ours", "counted", "the simulator, in sectors of 32 bytes, each once"},
	{"bytes of a library's call", "its arguments, each once", "a convolution's workspace among them as the simulator has it, which is small: cuDNN's own is not known"},
	{"blocks of a library's kernel", "one for 64 × 32 outputs, as a product of matrices; a filter's gradient is divided over at least 33 multiprocessors", noSource + ": the kernels that cuDNN and cuBLAS choose are not known"},
	{"what of the arithmetic rate such a kernel reaches", "0.5 to 1", noSource},
	{"kernels of a library's call", "1 to 2; 1 to 3 for a filter's gradient; 1 for ReLU, bias, copies", noSource + ": cuDNN prepares indices for IMPLICIT_PRECOMP_GEMM, and adds up divided sums"},
}
