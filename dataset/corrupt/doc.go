// Package corrupt damages the images of a set in the ways a classifier meets outside
// of its data set: noise, blur, another position, size, light, thicker or thinner
// strokes, things in front of the digit. Fifteen corruptions, five strengths each.
//
//	c, err := corrupt.Parse("gaussian-noise:3")
//	damaged, err := c.Apply(set)
//
// Nine of the corruptions are among the fifteen of MNIST-C (Mu and Gilmer, "MNIST-C: A
// Robustness Benchmark for Computer Vision", 2019, arXiv:1906.02337): shot-noise,
// impulse-noise, motion-blur, rotate, shift (its translate), scale, shear, brightness
// and spatter. Its glass blur, stripe, fog, dotted line, zigzag and Canny edges are not
// here. Gaussian-noise, gaussian-blur and contrast are of ImageNet-C (Hendrycks and
// Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
// Perturbations", ICLR 2019, arXiv:1903.12261). Occlusion, thicken and thin are added.
// Each file of this package gives a corruption's formula, what its strengths mean, and
// where it departs from its source. The images are not those of the published data set
// MNIST-C, which has one unnamed strength and one draw of each: figures of the two
// are not to be compared.
//
// # What an image becomes
//
// The result depends on the corruption's name, its strength, the seed, the index
// of the image in the set, and the image's bytes, and on nothing else: not on the
// processor, the number of threads or the other images. All arithmetic on pixels
// is in integers. Where a table is made of a transcendental function, its entries
// are rounded to integers so coarse that the function's last bits, in which
// processors differ, do not matter.
//
// What chance decides is drawn from the same stream at all five strengths: a digit
// that is rotated to the left at strength 1 is rotated further to the left at
// strength 2, and what impulse noise destroys at strength 1 it destroys at 2.
//
// # Sizes
//
// Lengths, such as a shift or a blur's σ, are given for images of 28 pixels, and
// grow with the shorter side of larger ones. Sets of any number of channels
// are taken: the channels of an image are moved together, and get noise of their own.
// What comes in from outside of an image that is moved is black, 0. A Gaussian blur
// continues the image's edge instead, and strokes thicken and thin by what is inside.
package corrupt
