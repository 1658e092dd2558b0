// Package picture makes pixels of one picture file, the same that Pillow makes of it.
//
// A network sees numbers, and two programs that read one photograph need not see the same: decoders
// round differently, a telephone's picture lies on its side unless someone reads the camera's note,
// transparency shows whatever lies behind it, and "resize to 224" has as many meanings as
// libraries. Networks are trained on what Pillow and torchvision make of files. So this package
// does what they do, byte for byte, and its golden files are Pillow's.
//
//	data, err := os.ReadFile("cat.jpg")
//	decoded, err := picture.Decode(data, picture.Options{Channels: 3})
//	sized, err := picture.Sizing{Height: 224, Width: 224, Fit: picture.Crop}.Apply(decoded)
//	// sized.Pixels are 3×224×224 bytes: the red plane, the green one, the blue one.
//
// # From a file to pixels
//
// Decode reads PNG, JPEG, GIF, BMP, TIFF and WebP, and tells them apart by their first bytes. The
// result is
//
//   - upright: EXIF's orientation is applied, of JPEG, PNG, TIFF and WebP, as ImageOps.exif_transpose does;
//   - opaque: what is transparent lies on white, or on Options.Background, as by Image.alpha_composite;
//   - grey (1 channel) or colour (3): as the file is, where a palette is colour, or as
//     Options.Channels asks, as by convert("L");
//   - of 8 bits: of 16 the upper 8 are taken. Pillow does so with colours; grey above 255 it makes
//     white, which is not followed;
//   - the first frame of an animation, on its canvas.
//
// Colour profiles are not applied; Pillow applies none either. JPEG goes through a decoder that
// repeats libjpeg-turbo's arithmetic (internal/jpeg), lossy WebP's colours are brought to full size
// as libwebp does it.
//
// # What is refused
//
// Whoever sorts a million files from the web meets every kind of bad one. A picture above
// Options.MaxPixels, and a header with too few bytes behind it for its size, are refused before
// anything is allocated. What is no picture is named by what it begins as. A file that is cut off
// is an error, never a grey half. Errors wrap ErrFormat, ErrUnsupported, ErrTooLarge, ErrTruncated
// or ErrDamaged, so that a caller can decide which to leave out.
//
// Not read: JPEG with arithmetic coding, 12 bits or lossless, BMP with run lengths, TIFF with JPEG
// or YCbCr or CMYK inside or with a plane for each colour. They are ErrUnsupported.
//
// # To one size
//
// Resize and Resizer are Image.resize with its antialiased bilinear and bicubic filters and its
// box; a Sizing says how pictures of any proportion come to one size, and its String is fit to be
// recorded in a model.
package picture
