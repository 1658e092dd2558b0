// Package augment changes training images a little, anew in every epoch, so that a network sees
// more than the pictures that there are.
//
// What is done is one list in order, the same in a flag, in Go, in JSON and in YAML:
//
//	train -augment random-resized-crop,flip,color-jitter=0.4:0.4:0.4:0.1
//
//	augmentation:
//	  - random-resized-crop: {scale: [0.25, 1]}
//	  - flip
//	  - color-jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}
//
// An Augmenter applies a list to images of one shape, C×H×W bytes:
//
//	list, err := augment.ParseList("crop=4:reflect,flip")
//	augmenter, err := augment.New(list, seed, 3, 32, 32)
//	err = augmenter.Apply(dst, image, epoch, index)
//
// # Chance
//
// What becomes of an image is a function of the list, the seed, the epoch, the image's index in its
// set, and its bytes. There is no generator with a state: each operation draws words of the
// counter-based Philox4x32-10, whose key belongs to the seed, the operation's place in the list and
// its name, and whose counter to the index and the epoch. So images can be made in any order and on
// any threads, a resumed run sees what an unbroken one does, and what one operation draws does not
// depend on what another did: a larger hue leaves the flips where they were. Sines, logarithms and
// exponentials come from Go's math, whose last bit may be another on another kind of processor.
//
// # Operations
//
//	flip, vertical-flip    mirrored
//	shift, crop            moved by whole pixels, with zeros, edges or mirror images around
//	random-resized-crop    a part of the picture, resized; first in the list
//	rotation               turned
//	scale, affine          zoomed; turned, moved, zoomed and sheared at once
//	color-jitter           brightness, contrast, saturation, hue
//	grayscale              without colour
//	cutout, random-erasing a part made black
//	rand-augment, trivial-augment  some of fourteen changes
//
// They are torchvision's, and where torchvision works on Pillow's images, as its loader of folders
// gives them, the bytes are Pillow's for the same draws, held against golden files without a
// tolerance: mixing by float32 with fractions cut off, hue in 255ths of a turn, positions in 16
// binary places for nearest neighbours. Each type says what is followed. The exception is
// rotation, which rounds to the nearest byte and was there before: with shift, it is as it was
// (Record). The draws themselves are not torchvision's, whose generator has a state, but have
// the same distributions.
//
// # Pictures of any size
//
// RandomResizedCrop resizes a part of the picture once, from its own pixels, rather than from an
// image that was resized before. For a list that begins with it List.NeedsOriginal is true, and
// Augmenter.ApplyOriginal takes the decoded picture. Every other list is applied to images that
// have come to their size.
package augment
