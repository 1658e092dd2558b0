package main

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"slipway/internal/cuda/trace"
)

// scaledSum is the listing of a kernel in which one thread adds up n numbers, four in a round.
func scaledSum(t *testing.T) map[string]*function {
	t.Helper()
	listing, err := os.Open("testdata/scaled_sum.sass")
	if err != nil {
		t.Fatal(err)
	}
	defer listing.Close()
	functions, err := readSASS(listing)
	if err != nil {
		t.Fatal(err)
	}
	return functions
}

// summed is a launch of it on n numbers, of which every sixteenth begins a line.
func summed(n int64) trace.Launch {
	return trace.Launch{
		Name: "scaled_sum", Grid: [2]int{1, 1}, Block: 256,
		Touches:  []trace.Touch{{Allocation: 1, Size: 8 * n}, {Allocation: 2, Size: 32, Written: true}},
		Accesses: []trace.Access{{Source: "kernels.cu:83", All: n, Most: n, Lines: (n + 15) / 16}},
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*math.Abs(want) }

func TestReadSASS(t *testing.T) {
	f := scaledSum(t)["scaled_sum"]
	end := endOf(f)
	if last := f.instructions[end-1]; end != len(f.instructions)-1 || !last.end {
		t.Errorf("%d of %d instructions are the kernel's own, the last is %+v", end, len(f.instructions),
			last)
	}
	if f.registers != 18 {
		t.Errorf("%d registers, the listing names R0 to R17", f.registers)
	}
	var loads []int
	for _, l := range loopsOf(f, end) {
		n := 0
		for _, i := range f.instructions[l.first : l.last+1] {
			if i.class == load {
				n++
			}
		}
		loads = append(loads, n)
	}
	if !slices.Equal(loads, []int{1, 4}) {
		t.Errorf("the loops have %v loads a round, want 1 and 4", loads)
	}
	if _, err := readSASS(strings.NewReader("nothing\n")); err == nil {
		t.Error("a listing without kernels was read")
	}
}

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		condition, code, operands string
		class                     class
		writes, reads             []string
	}{
		{"", "FFMA", "R5, R2, R3, R5", fixed, []string{"R5"}, []string{"R2", "R3", "R5"}},
		{"", "DADD", "R8, R8, R2", double, []string{"R8", "R9"}, []string{"R8", "R9", "R2", "R3"}},
		{"", "LDG.E", "R22, desc[UR6][R20.64]", load, []string{"R22"}, []string{"UR6", "R20", "R21"}},
		{"", "IADD3", "R4, P2, R4, 0x20, RZ", fixed, []string{"R4", "P2"}, []string{"R4"}},
		{"", "IADD3.X", "R0, R15, UR5, RZ, P2, !PT", fixed, []string{"R0"}, []string{"R15", "UR5", "P2"}},
		{"@!P0", "BRA", "`(.L_x_1)", control, nil, []string{"P0"}},
		{"", "STG.E", "desc[UR8][R4.64], R3", store, nil, []string{"UR8", "R4", "R5", "R3"}},
	} {
		i := decode(test.condition, test.code, test.operands)
		if i.class != test.class || !slices.Equal(i.writes, test.writes) ||
			!slices.Equal(i.reads, test.reads) {
			t.Errorf("%s %s: class %d, writes %v, reads %v; want %d, %v, %v", test.code, test.operands,
				i.class, i.writes, i.reads, test.class, test.writes, test.reads)
		}
	}
}

// A loop that reads memory, and of whose line nothing was counted, is one that no thread comes to;
// the page names it.
func TestLoopsThatNoThreadComesTo(t *testing.T) {
	functions, l := scaledSum(t), summed(64)
	all := cyclesIn(t, functions, l)
	for i := range l.Accesses {
		l.Accesses[i].Source = "another.cuh:1"
	}
	passed, unknown := loopsWithout(functions, l)
	if len(passed) != 2 || len(unknown) > 0 || !strings.HasPrefix(passed[0], "`scaled_sum` ") {
		t.Errorf("passed %q, unknown %q", passed, unknown)
	}
	if none := cyclesIn(t, functions, l); none.high >= all.low {
		t.Errorf("a chain of %v cycles without the loops, of %v with them", none, all)
	}
}

// cyclesIn is the chain of a launch.
func cyclesIn(t *testing.T, functions map[string]*function, l trace.Launch) span {
	t.Helper()
	timing, err := timingOf(functions, l, [2]bool{})
	if err != nil {
		t.Fatal(err)
	}
	return timing.chain
}

// A main loop of four loads takes as many whole rounds as there are, and another one the rest.
func TestRoundsOfLoops(t *testing.T) {
	for n, want := range map[int64][2]float64{64: {0, 16}, 66: {2, 16}, 3: {3, 0}} {
		f := scaledSum(t)["scaled_sum"]
		loops := loopsOf(f, endOf(f))
		count(f, endOf(f), loops, visitsOf(summed(n)), 256)
		got := [2]float64{loops[0].most, loops[1].most}
		if got != want || !loops[0].counted || !loops[1].counted {
			t.Errorf("%d numbers: rounds %v, want %v", n, got, want)
		}
	}
	// Two copies of a loop have half of what was counted each.
	a, b := new(loop), new(loop)
	if rounds := share(map[*loop]float64{a: 2, b: 2}, 32); rounds[a] != 8 || rounds[b] != 8 {
		t.Errorf("copies have %v rounds of 32 loads, want 8 each", rounds)
	}
}

// A round waits for its loads and then for four additions, one after another.
func TestChainOfASum(t *testing.T) {
	functions := scaledSum(t)
	chain := func(n int64) span {
		timing, err := timingOf(functions, summed(n), [2]bool{})
		if err != nil {
			t.Fatal(err)
		}
		if timing.resident != 8 {
			t.Errorf("%d blocks of 256 threads on a multiprocessor, want 8", timing.resident)
		}
		return timing.chain
	}
	const rounds = 256
	short, long := chain(64), chain(64+4*rounds)
	each := span{(long.low - short.low) / rounds, (long.high - short.high) / rounds}
	fresh := 1.0 / 16
	least := span{
		fresh*secondLevel.low + (1-fresh)*firstLevel.low + 4*latencies[double].low,
		fresh*secondLevel.high + (1-fresh)*firstLevel.high + 4*latencies[double].high,
	}
	if each.low < least.low || each.low > least.low+40 ||
		each.high < least.high || each.high > least.high+60 {
		t.Errorf("a round takes %v cycles, want little more than %v", each, least)
	}
	timing, err := timingOf(functions, summed(64), [2]bool{true, true})
	if err != nil || timing.chain.low <= short.low {
		t.Errorf("from memory the chain is %v, from the cache %v, %v", timing.chain, short, err)
	}
}

func TestWarpWaitsForWhatItReads(t *testing.T) {
	add := instruction{reads: []string{"R1"}, writes: []string{"R1"}}
	other := instruction{reads: []string{"R2"}, writes: []string{"R3"}}
	w := &warp{ready: make(map[string]float64), latency: func(instruction) float64 { return 4 }}
	w.walk([]instruction{add, other, add, add})
	if w.now != 9 { // begun at 1, 2, 5 and 9
		t.Errorf("the last of three additions in a row begins at %v, want 9", w.now)
	}
}

func TestReuse(t *testing.T) {
	launches := []trace.Launch{
		{Touches: []trace.Touch{{Allocation: 1, Size: 10}}},
		{Touches: []trace.Touch{{Allocation: 2, Size: 100}, {Allocation: 3, Size: 1000}}},
		{Touches: []trace.Touch{{Allocation: 1, Size: 10}, {Allocation: 3, Size: 500}}},
	}
	got := reuse(launches)
	want := [][]float64{{500}, {510, 0}, {1100, 0}}
	for n := range want {
		if n == 1 {
			// Allocation 2 was touched a step before: 3 and 1 were since. So was 3, at once before 1.
			want[n] = []float64{1010, 10}
		}
		if !slices.Equal(got[n], want[n]) {
			t.Errorf("launch %d: %v bytes since, want %v", n, got[n], want[n])
		}
	}
}

func TestBytesTime(t *testing.T) {
	l := trace.Launch{Touches: []trace.Touch{
		{Allocation: 1, Size: 1 << 20}, {Allocation: 2, Size: 1 << 20, Written: true},
	}}
	near2 := func(got, want span) bool { return near(got.low, want.low) && near(got.high, want.high) }
	cached := span{2 << 20 / cacheRate.high * 1e6, 2 << 20 / cacheRate.low * 1e6}
	if got, uncached := bytesTime(l, []float64{0, 0}); !near2(got, cached) || uncached != [2]bool{} {
		t.Errorf("in the cache: %v µs, want %v; %v", got, cached, uncached)
	}
	got, uncached := bytesTime(l, []float64{30 << 20, 0})
	if got.high <= cached.high || !near(got.low, cached.low) || uncached != [2]bool{false, true} {
		t.Errorf("behind 30 MB: %v µs, %v", got, uncached)
	}
	got, uncached = bytesTime(l, []float64{60 << 20, 60 << 20})
	if got.low <= cached.low || uncached != [2]bool{true, true} {
		t.Errorf("behind 60 MB: %v µs, %v", got, uncached)
	}
}

func TestProducts(t *testing.T) {
	// 132 full tiles, one a multiprocessor: nothing is lost but what the kernel does not reach.
	depth := 1000
	operations := 2.0 * tileRows * multiprocessors * tileColumns * float64(depth)
	got := productTime(operations, tileRows*multiprocessors, tileColumns, depth, 1, false)
	if want := operations / floatRate * 1e6; !near(got.low, want) ||
		!near(got.high, want/libraryShare.low) {
		t.Errorf("full tiles: %v µs, want %v and twice that", got, want)
	}
	// One tile keeps one multiprocessor busy, a filter's gradient a quarter of them.
	one := productTime(2*tileRows*tileColumns*float64(depth), tileRows, tileColumns, depth, 1, false)
	divided := productTime(2*tileRows*tileColumns*float64(depth), tileRows, tileColumns, depth, 1,
		true)
	if !near(one.high, got.high) || !near(divided.high*leastDivided, one.high) {
		t.Errorf("one tile: %v µs, divided %v, all %v", one, divided, got)
	}
}

func TestOccupancy(t *testing.T) {
	for _, test := range []struct{ registers, resident int }{{18, 8}, {64, 4}, {65, 3}, {255, 1}} {
		if got := residentBlocks(test.registers, 256); got != test.resident {
			t.Errorf("%d registers: %d blocks, want %d", test.registers, got, test.resident)
		}
	}
	if waves(1, 8) != 1 || waves(1056, 8) != 1 || waves(1057, 8) != 2 {
		t.Errorf("waves of 1, 1056 and 1057 blocks: %v, %v, %v", waves(1, 8), waves(1056, 8),
			waves(1057, 8))
	}
}

// A launch of which nothing is known stops the prediction.
func TestNoLaunchCountsAsNothing(t *testing.T) {
	touches := []trace.Touch{{Allocation: 1, Size: 64}}
	kernel := summed(64)
	unknown, uncounted := kernel, kernel
	unknown.Name, uncounted.Accesses = "no_such_kernel", nil
	for want, l := range map[string]trace.Launch{
		"no rule for cudnnSomethingNew": {Name: "cudnnSomethingNew", Touches: touches},
		"did not say which convolution": {Name: "cudnnConvolutionForward", Touches: touches},
		"made with algorithm 7": {Name: "cudnnConvolutionForward", Touches: touches,
			Convolution: &trace.Convolution{Algorithm: 7}},
		"did not say which product":   {Name: "cublasSgemm", Touches: touches},
		"no_such_kernel has no instr": unknown,
		"counted no accesses":         uncounted,
		"its work is predicted as 0":  {Name: "cudnnAddTensor"},
	} {
		_, err := predict(scaledSum(t), trace.Step{Network: "E1", Batch: 32, Launches: []trace.Launch{l}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestPrediction(t *testing.T) {
	copied := trace.Launch{Name: "cuMemcpyDtoDAsync", Touches: []trace.Touch{
		{Allocation: 3, Size: 64}, {Allocation: 4, Size: 64, Written: true},
	}}
	all, err := predict(scaledSum(t), trace.Step{Network: "E1", Batch: 32,
		Launches: []trace.Launch{summed(4096), copied, copied}})
	if err != nil {
		t.Fatal(err)
	}
	if all[0].decides != byChain || all[1].decides != byLaunch {
		t.Errorf("decided by %s and %s, want %s and %s", all[0].decides, all[1].decides, byChain,
			byLaunch)
	}
	for _, p := range all {
		if p.total.low < max(launchFloor.low, p.work.low) ||
			!near(p.total.high, launchFloor.high+p.work.high) {
			t.Errorf("%s: work %v, in the graph %v", p.Name, p.work, p.total)
		}
	}
	text := page([]predictedStep{{"E1", 32, all, []string{"`scaled_sum` sums.cuh:7"}}},
		[]byte("kernels"))
	for _, want := range []string{
		"not measured: no GPU", "make gpu-predict", madeOf([]byte("kernels")), "| E1 at 32 | 3 |",
		"`scaled_sum` | — | 1 | 1 |",
		"`cuMemcpyDtoDAsync` | — | 2 |", "count as nothing:\n\n- E1 at 32: `scaled_sum` sums.cuh:7\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

// A prediction of other kernels than those that are built says nothing of them.
func TestThePageIsOfTheKernels(t *testing.T) {
	ptx, err := os.ReadFile("../../../internal/cuda/kernels/kernels.ptx")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../../docs/cuda-predicted.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), madeOf(ptx)) {
		t.Error("docs/cuda-predicted.md is of other kernels than kernels.ptx: run make gpu-predict")
	}
}

func TestFigures(t *testing.T) {
	for s, want := range map[span]string{
		{0.01234, 0.5}: "0.012–0.5", {1.31, 9.96}: "1.3–10", {2, 2}: "2.0", {1234.4, 1300}: "1234–1300",
	} {
		if got := figure(s); got != want {
			t.Errorf("%v is written %s, want %s", s, got, want)
		}
	}
}
