// Package feed says how the bytes of an image become the float32 that a network is fed: as
// they are, or scaled by one formula for all channels or one for each.
//
//	pixels, err := feed.StandardPixels(0.1307, 0.3081) // (x/255 − 0.1307)/0.3081
//	err = pixels.Feed(values, images, channels, channels*height*width)
//
// Training, export and every runtime use the same formula in the same order in float32, so
// that a picture has the same bits everywhere. The package is apart from package dataset, so
// that a program that only classifies has nothing else of it.
package feed
