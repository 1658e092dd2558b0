package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

func TestFetchingGoesThroughItsRegions(t *testing.T) {
	a, b := aligned(1000), aligned(300)
	var f fetching
	f.begin(a, nil, b)
	var got []int
	for range 10 {
		at, end := f.next()
		if at >= end {
			break
		}
		got = append(got, int(end-at))
		f.came(at+2048, end)
	}
	if want := []int{4000, 1952, 1200}; !slices.Equal(got, want) {
		t.Errorf("left to fetch: %v, want %v", got, want)
	}
	f.begin(a[:0])
	if at, end := f.next(); at < end {
		t.Errorf("of nothing, %d bytes are fetched", end-at)
	}
	f.begin(a, make([]float32, fetchMost/4))
	if at, end := f.next(); at < end {
		t.Errorf("of more than a cache holds, %d bytes are fetched", end-at)
	}
}

// TestProductsFetch has products of all heights fetch: each tile goes on where the one before ended,
// up to the end, and the results are what they are without.
func TestProductsFetch(t *testing.T) {
	for _, name := range Available() {
		if name == "portable" {
			continue // it does not fetch
		}
		set, err := Select(name)
		must(t, err)
		const rows, depth = 40, 29
		width := set.panel()
		r := rand.New(rand.NewPCG(1, 4))
		a, b, behind := random(r, rows*depth), aligned(depth*width), aligned(4096)
		copy(b, random(r, len(b)))
		var aOffsets, cOffsets []int64
		for i := range rows {
			aOffsets, cOffsets = append(aOffsets, int64(4*i*depth)), append(cOffsets, int64(4*i*width))
		}
		product := func(c []float32, lines int) uintptr {
			args := productArgs{A: pointer(a), AOffsets: &aOffsets[0], C: pointer(c),
				COffsets: &cOffsets[0], B: pointer(b), Init: pointer(make([]float32, width)), M: rows, Runs: 1,
				Length: depth, AStep: 4, BStep: 4 * width, Floor: nan32}
			at := uintptr(unsafe.Pointer(&behind[0]))
			args.Fetch, args.FetchEnd = at, at+uintptr(lines*cacheLine)
			args.FetchStep = depth * cacheLine
			set.productPanel(&args, width)
			return (args.Fetch - at) / cacheLine
		}
		want, got := aligned(rows*width), aligned(rows*width)
		product(want, 0)
		for _, lines := range []int{0, 1, depth - 1, depth, depth + 1, 100, 1 << 20} {
			clear(got)
			fetched := int(product(got, lines))
			same(t, name, got, want)
			if tiles := fetched / depth; fetched%depth != 0 || fetched < min(lines, rows/8*depth) ||
				tiles > 0 && (tiles-1)*depth >= lines {
				t.Errorf("%s: %d lines are fetched of %d, in tiles of %d", name, fetched, lines, depth)
			}
		}
	}
}
