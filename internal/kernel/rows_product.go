package kernel

import "unsafe"

// rowsArgs describes a panel of a product C (+)= A·B of M rows: row r of A, of Length elements, a
// multiple of four, is at A + r·ARow, row r of C, a panel wide, at C + r·CRow. B is packed: Length
// rows of a panel. Distances are in bytes.
type rowsArgs struct {
	A      unsafe.Pointer
	ARow   int
	B      unsafe.Pointer
	C      unsafe.Pointer
	CRow   int
	M      int
	Length int
	Add    int // not 0: C is added to
}

// rowsProduct computes a panel of the given width: panel() columns, or half of it.
func (s *Set) rowsProduct(a *rowsArgs, width int) {
	if width == s.lanes {
		s.rowsNarrow((*byte)(unsafe.Pointer(a)))
		return
	}
	s.rowsWide((*byte)(unsafe.Pointer(a)))
}

func portableRowsWide(args *byte) { portableRowsPanel(args, portablePanel) }

func portableRowsNarrow(args *byte) { portableRowsPanel(args, portableLanes) }

func portableRowsPanel(args *byte, width int) {
	a := (*rowsArgs)(unsafe.Pointer(args))
	product := productArgs{B: a.B, Runs: 1, Length: a.Length, AStep: 4, BStep: 4 * width}
	for r := range a.M {
		for first := 0; first < width; first += portableLanes {
			var sums [portableLanes]float32
			c := floats(floatAt(a.C, r*a.CRow+4*first), portableLanes)
			if a.Add != 0 {
				copy(sums[:], c)
			}
			portableProductColumns(&product, unsafe.Add(a.A, r*a.ARow), 4*first, &sums)
			copy(c, sums[:])
		}
	}
}
