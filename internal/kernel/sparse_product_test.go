package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// sparsely returns n numbers of which about a share are not zero.
func sparsely(r *rand.Rand, n int, share float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		if r.Float64() < share {
			v[i] = float32(r.NormFloat64())
		}
	}
	return v
}

// TestListSlice lists rows of every length about a few vectors, with what is nearly zero and what
// is no number.
func TestListSlice(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		r := rand.New(rand.NewPCG(1, 2))
		special := []float32{0, float32(math.Copysign(0, -1)), 1e-45, float32(math.NaN()),
			float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32}
		for n := range 3*engine.Set.lanes + 2 {
			for _, share := range []float64{0, 0.3, 1} {
				x := sparsely(r, n, share)
				for i := range x {
					if r.IntN(4) == 0 {
						x[i] = special[r.IntN(len(special))]
					}
				}
				items := make([]item, n+listSlack)
				count := engine.Set.listSlice(items, x, 12)
				var want []item
				for i, v := range x {
					if v != 0 {
						want = append(want, item{v, int32(12 * i)})
					}
				}
				if count != len(want) {
					t.Fatalf("%d of %d elements are listed, want %d", count, n, len(want))
				}
				for i, w := range want {
					if math.Float32bits(items[i].value) != math.Float32bits(w.value) || items[i].src != w.src {
						t.Fatalf("item %d of %v is %v, want %v", i, x, items[i], w)
					}
				}
			}
		}
	})
}

// TestSparseRow holds the kernels of every width against the portable one.
func TestSparseRow(t *testing.T) {
	portable := portableSet()
	eachEngine(t, func(t *testing.T, engine Engine) {
		set := engine.Set
		r := rand.New(rand.NewPCG(3, 4))
		for vectors := 1; vectors <= stripVectors; vectors++ {
			for _, kept := range []int{1, set.lanes - 1, set.lanes} {
				const rows, depth = 5, 11
				width := (vectors-1)*set.lanes + kept
				pitch, step := vectors*set.lanes, width+3
				b, start := random(r, depth*pitch), random(r, pitch)
				mask := make([]int32, set.lanes)
				for l := range kept {
					mask[l] = -1
				}
				var items []item
				var lists []list
				for range rows {
					l := list{start: int32(8 * len(items))}
					for k := range depth {
						if r.IntN(2) == 0 {
							items = append(items, item{float32(r.NormFloat64()), int32(4 * k * pitch)})
						}
					}
					l.count = int32(len(items)) - l.start/8
					lists = append(lists, l)
				}
				items = append(items, item{}) // never none
				c := random(r, rows*step+pitch)
				for _, args := range []sparseRowArgs{{Floor: nan32}, {Floor: 0, Start: pointer(start)}} {
					got, want := append([]float32(nil), c...), append([]float32(nil), c...)
					args.CStep, args.B, args.Lists, args.Items, args.Rows = 4*step, pointer(
						b), &lists[0], &items[0], rows
					if kept < set.lanes {
						args.Mask = unsafe.Pointer(&mask[0])
					}
					args.C = pointer(got)
					set.sparseRow(vectors, &args)
					// The portable kernel's vectors may be shorter: one column at a time then.
					for j := range width {
						column := args
						column.C, column.B, column.Mask = pointer(want[j:]), pointer(b[j:]), unsafe.Pointer(
							&[portableLanes]int32{-1})
						if args.Start != nil {
							column.Start = pointer(start[j:])
						}
						portable.sparseRow(1, &column)
					}
					near(t, fmt.Sprintf("%d vectors, %d of the last, floor %g", vectors, kept, args.Floor), got,
						want, depth)
				}
			}
		}
	})
}

// sparseDenses are layers with a pass that leaves zeros out, in sizes that fill no vector, strip,
// block or tile.
var sparseDenses = []DenseConfig{
	{96, 200, 129, true}, {301, 97, 75, false}, {70, 784, 100, true}, {180, 81, 300, true},
	{17, 1000, 513, true}, {2100, 16, 64, false},
}

// TestDenseLeavesZerosOut compares passes over operands of many zeros with the reference, and wants
// those to have left them out that may.
func TestDenseLeavesZerosOut(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		passes := 0
		for _, f := range sparseDenses {
			for _, share := range []float64{0, 0.02, 0.3} {
				r := rand.New(rand.NewPCG(uint64(f.In), uint64(f.Out)))
				x, dy := sparsely(r, f.Batch*f.In, share), sparsely(r, f.Batch*f.Out, share)
				d := compareDensePasses(t, engine, f, x, random(r, f.Out*f.In), random(r, f.Out), dy)
				for _, pass := range []sparsePass{d.sparseForward, d.sparseParameters, d.sparseInput} {
					if pass.densest < share+0.05 {
						continue
					}
					passes++
					if pass.product == nil {
						t.Errorf(
							"%+v with %g %% left: the product of %d×%d with %d columns has not left the zeros out", f,
							100*share, pass.rows, pass.depth, pass.columns)
					}
				}
			}
		}
		if passes < 2*len(sparseDenses) {
			t.Errorf("only %d passes may leave zeros out", passes)
		}
	})
}

// TestDenseZeroTimesInfinity puts numbers that are none beside zeros: their products are NaN, and
// must not be left out.
func TestDenseZeroTimesInfinity(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, f := range sparseDenses {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				r := rand.New(rand.NewPCG(uint64(f.In), uint64(f.Out)))
				x, dy := sparsely(r, f.Batch*f.In, 0.2), sparsely(r, f.Batch*f.Out, 0.2)
				w := random(r, f.Out*f.In)
				for range 3 {
					w[r.IntN(len(w))] = bad
					x[r.IntN(len(x))] = bad
				}
				compareDensePasses(t, engine, f, x, w, random(r, f.Out), dy)
			}
		}
	})
}

// TestSparseDenseSameBitsOnAnyThreads: nor do the bits depend on what a thread computed before,
// where some blocks have numbers that are none, or too large to be summed.
func TestSparseDenseSameBitsOnAnyThreads(t *testing.T) {
	for _, name := range Available() {
		for _, f := range sparseDenses {
			for _, bad := range []float32{0, float32(math.Inf(1)), math.MaxFloat32} {
				r := rand.New(rand.NewPCG(1, 1))
				x, w, b, dy := sparsely(r, f.Batch*f.In, 0.2), random(r, f.Out*f.In), random(r,
					f.Out), sparsely(r, f.Batch*f.Out, 0.2)
				for range 4 {
					w[r.IntN(len(w))] = bad
				}
				want := runDense(t, newEngine(t, name, 1), f, x, w, b, dy)
				for _, threads := range []int{2, 3, 7, 64} {
					got := runDense(t, newEngine(t, name, threads), f, x, w, b, dy)
					same(t, fmt.Sprint(f, "y"), got.y, want.y)
					same(t, fmt.Sprint(f, "dx"), got.dx, want.dx)
					same(t, fmt.Sprint(f, "dw"), got.dw, want.dw)
					same(t, fmt.Sprint(f, "db"), got.db, want.db)
				}
			}
		}
	}
}

func TestSparseDenseAllocatesNothing(t *testing.T) {
	f := sparseDenses[0]
	d, err := NewDense(newEngine(t, "", 2), f)
	must(t, err)
	r := rand.New(rand.NewPCG(1, 1))
	x, w, b, dy := sparsely(r, f.Batch*f.In, 0.2), random(r, f.Out*f.In), random(r, f.Out), sparsely(r,
		f.Batch*f.Out, 0.2)
	y, dx, dw, db := make([]float32, len(dy)), make([]float32, len(x)), make([]float32,
		len(w)), make([]float32, len(b))
	if n := testing.AllocsPerRun(5, func() {
		must(t, d.Forward(y, x, w, b))
		must(t, d.BackwardParameters(dw, db, dy, y, x))
		must(t, d.BackwardInput(dx, dy, y, w))
	}); n != 0 {
		t.Errorf("a pass allocates %g times", n)
	}
}

func FuzzSparseDense(f *testing.F) {
	f.Add(uint8(113), uint16(170), uint16(190), uint8(20), true)
	f.Fuzz(func(t *testing.T, batch uint8, in, out uint16, share uint8, relu bool) {
		c := DenseConfig{int(batch%120) + 1, int(in%600) + 1, int(out%300) + 1, relu}
		r := rand.New(rand.NewPCG(uint64(batch), uint64(share)))
		zeros := float64(share) / 255
		x, dy := sparsely(r, c.Batch*c.In, zeros), sparsely(r, c.Batch*c.Out, zeros)
		compareDensePasses(t, newEngine(t, "", 2), c, x, random(r, c.Out*c.In), random(r, c.Out), dy)
	})
}

// BenchmarkDensePasses measures each pass of a dense layer over the share of its operand that is
// not zero.
func BenchmarkDensePasses(b *testing.B) {
	for _, f := range []DenseConfig{{32, 784, 512, false}, {256, 784, 512, false},
		{32, 1024, 128, false}, {32, 400, 120, false}, {256, 400, 120, false}} {
		for _, share := range []float64{0.1, 0.2, 0.4, 0.5, 0.7, 1} {
			r := rand.New(rand.NewPCG(1, 2))
			x, dy := sparsely(r, f.Batch*f.In, share), sparsely(r, f.Batch*f.Out, share)
			w, bias, y, dx, dw, db := random(r, f.In*f.Out), random(r, f.Out), make([]float32,
				len(dy)), make([]float32, len(x)), make([]float32, f.In*f.Out), make([]float32, f.Out)
			d, err := NewDense(newEngine(b, "", 1), f)
			must(b, err)
			for _, pass := range []struct {
				name string
				run  func() error
			}{
				{"forward", func() error { return d.Forward(y, x, w, bias) }},
				{"dw", func() error { return d.BackwardParameters(dw, db, dy, y, x) }},
				{"dx", func() error { return d.BackwardInput(dx, dy, y, w) }},
			} {
				b.Run(fmt.Sprintf("%dx%dx%d/%g/%s", f.Batch, f.In, f.Out, share, pass.name),
					func(b *testing.B) {
						for range b.N {
							must(b, pass.run())
						}
						b.ReportMetric(2*float64(f.Batch*f.In*f.Out*b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
					})
			}
		}
	}
}
