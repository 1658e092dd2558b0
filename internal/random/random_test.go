package random

import (
	"math"
	"testing"
)

// The vectors are the known answers that ship with the authors' Random123
// library (kat_vectors, philox4x32, 10 rounds).
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, test := range []struct {
		key     uint64
		counter [4]uint32
		want    [4]uint32
	}{
		{0, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{math.MaxUint64, [4]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{0x299f31d0_a4093822, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := Philox(test.key, test.counter); got != test.want {
			t.Errorf("Philox(%#x, %#x) = %#x, want %#x", test.key, test.counter, got, test.want)
		}
	}
}

func TestStreamsDependOnSeedAndPurposeAlone(t *testing.T) {
	first := New(1, "weights").Uint64()
	if again := New(1, "weights").Uint64(); again != first {
		t.Errorf("the same seed and purpose gave %d, then %d", first, again)
	}
	if other := New(2, "weights").Uint64(); other == first {
		t.Error("seeds 1 and 2 give the same stream")
	}
	if other := New(1, "shuffle").Uint64(); other == first {
		t.Error("two purposes give the same stream")
	}
	if Key(1, "a") == Key(1, "b") || Key(1, "a") == Key(2, "a") {
		t.Error("two purposes or two seeds give the same Philox key")
	}
}
