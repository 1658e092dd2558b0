package kernel

import "fmt"

// depthwisePiece is a vector of channels: of the widest kind or, for the last eight, of the next
// one.
type depthwisePiece struct {
	set     *Set
	channel int
	taps    [][]depthwiseTap // by the ring's row that the first input row lies in
	gate    []float32
}

// pieces cuts the channels, whose input rows lie in a ring of so many rows: size says how many
// elements a row of a set's vectors takes there, and a position.
func (f DepthwiseConfig) pieces(set *Set, finish Finish, ring int,
	size func(set *Set) (row, position int)) ([]depthwisePiece, error) {
	var pieces []depthwisePiece
	rings := map[*Set][][]depthwiseTap{}
	for channel := 0; channel < f.Channels; {
		set := set
		if f.Channels-channel < set.lanes && set.half != nil {
			set = set.half
		}
		if f.Channels-channel < set.lanes {
			return nil, fmt.Errorf("kernel: depthwise convolution %+v: channels are not whole vectors", f)
		}
		if rings[set] == nil {
			row, position := size(set)
			rings[set] = f.ringTaps(ring, row, position)
		}
		p := depthwisePiece{set: set, channel: channel, taps: rings[set]}
		if finish.Gate != nil {
			p.gate = finish.Gate.table(set)
		}
		pieces = append(pieces, p)
		channel += set.lanes
	}
	return pieces, nil
}

// ringTaps returns the taps for each row of a ring that the first input row may lie in.
func (f DepthwiseConfig) ringTaps(ring, rowSize, positionSize int) [][]depthwiseTap {
	all := make([][]depthwiseTap, ring)
	for first := range all {
		for u := range f.KernelHeight {
			row := (first + u*f.DilationHeight) % ring
			for v := range f.KernelWidth {
				all[first] = append(all[first], depthwiseTap{
					x: 4 * (row*rowSize + v*f.DilationWidth*positionSize),
					w: 4 * (u*f.KernelWidth + v) * f.Channels,
				})
			}
		}
	}
	return all
}

// reach is how many input rows a row of outputs spans.
func (f DepthwiseConfig) reach() int { return f.DilationHeight*(f.KernelHeight-1) + 1 }
