package kernel

// cacheLine is the bytes that a fetch brings.
const cacheLine = 64

// fetching is what a thread will read next, while it computes: the products that have their
// operands in a cache bring it there, a line with each step of their sums, so that memory works
// when the multiplications do and not after them.
type fetching struct {
	regions [3]struct{ at, end uintptr }
}

// fetchMost is how many bytes are fetched ahead at most: they have to stay in the second-level
// cache, beside what is computed meanwhile.
const fetchMost = 384 << 10

// begin sets what is to be fetched, or nothing where it is too much.
func (f *fetching) begin(regions ...[]float32) {
	*f = fetching{}
	all := 0
	for _, region := range regions {
		all += 4 * len(region)
	}
	if all > fetchMost {
		return
	}
	for i, region := range regions {
		at := uintptr(pointer(region))
		f.regions[i].at, f.regions[i].end = at, at+uintptr(4*len(region))
	}
}

// next returns what is to be fetched next, two equal addresses where all is.
func (f *fetching) next() (at, end uintptr) {
	for i := range f.regions {
		if r := &f.regions[i]; r.at < r.end {
			return r.at, r.end
		}
	}
	return 0, 0
}

// came takes up how far what ends there has been fetched.
func (f *fetching) came(at, end uintptr) {
	for i := range f.regions {
		if r := &f.regions[i]; r.end == end {
			r.at = max(r.at, at)
		}
	}
}

// ask has a product fetch, unless all is fetched.
func (f *fetching) ask(a *productArgs) {
	if at, end := f.next(); at < end {
		a.Fetch, a.FetchEnd = at, end
		a.FetchStep = cacheLine * max(1, a.Groups) * a.Runs * a.Length
	}
}
