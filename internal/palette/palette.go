// Package palette has the colours of Slipway's plots.
package palette

import "image/color"

// Colour is Okabe and Ito's palette, which is told apart with any kind of colour
// vision; yellow is left out, which a white page swallows. After the last colour the
// first comes again.
func Colour(i int) color.RGBA {
	colours := [Colours]color.RGBA{
		{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
		{230, 159, 0, 255}, {86, 180, 233, 255}, {0, 0, 0, 255},
	}
	return colours[i%Colours]
}

// Colours is the number of different ones.
const Colours = 7
