package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The product of rows gives the bits of the general one, for every remainder of the tiles' heights,
// and writes nothing else.
func TestRowsProduct(t *testing.T) {
	for _, name := range Available() {
		set, err := Select(name)
		must(t, err)
		r := rand.New(rand.NewPCG(6, 6))
		for m := 1; m <= 35; m++ {
			for _, length := range []int{4, 16, 40} {
				for i, width := range []int{set.lanes, set.panel(), set.lanes, set.panel()} {
					product := productArgs{Init: pointer(aligned(set.panel()))}
					add := i / 2 // to what is there
					if add != 0 {
						product.Init = nil
					}
					aRow, cRow := length+m%3, width+m%5
					a, b := random(r, m*aRow), random(r, length*width)
					got := random(r, m*cRow)
					want := append([]float32(nil), got...)
					set.rowsProduct(&rowsArgs{
						A: pointer(a), ARow: 4 * aRow, B: pointer(b), C: pointer(got), CRow: 4 * cRow, M: m,
						Length: length, Add: add,
					}, width)
					var aOffsets, cOffsets []int64
					for i := range m {
						aOffsets, cOffsets = append(aOffsets, int64(4*i*aRow)), append(cOffsets, int64(4*i*cRow))
					}
					product.A, product.AOffsets, product.B = pointer(a), &aOffsets[0], pointer(b)
					product.C, product.COffsets, product.M = pointer(want), &cOffsets[0], m
					product.Runs, product.Length, product.AStep, product.BStep = 1, length, 4, 4*width
					product.Floor = nan32
					set.productPanel(&product, width)
					same(t, fmt.Sprintf("%s: %d rows, %d steps, %d columns", name, m, length, width), got, want)
				}
			}
		}
	}
}
