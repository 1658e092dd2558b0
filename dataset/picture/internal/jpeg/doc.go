// Package jpeg decodes JPEG to the same bytes as libjpeg-turbo with its default settings, and so to those that Pillow has.
//
// Two decoders that both follow the standard differ by some levels in a pixel: the standard leaves the rounding of
// the inverse cosine transform open, and says nothing about how a halved chroma plane is brought back to full size.
// The standard library's image/jpeg rounds elsewhere and leaves the chroma planes as they are. A network that was trained on one
// decoder's pixels is asked about another's then. This package takes libjpeg's way in each step: the transform "islow"
// of jidctint.c, the triangle filter ("fancy upsampling") of jdsample.c, and the fixed-point conversion of jdcolor.c.
//
// It reads baseline, extended sequential and progressive Huffman coded files of 8 bits a sample, with one, three or four components, in any order of scans.
// Arithmetic coding, lossless, hierarchical and 12-bit files are refused by name.
//
// The format: ITU-T Recommendation T.81. The numbers in comments are its sections.
package jpeg
