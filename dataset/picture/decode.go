package picture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"image/png"

	"slipway/dataset/picture/internal/jpeg"
)

// Config is what a file's header says of its picture.
type Config struct {
	Format      string // PNG, JPEG, …
	Channels    int    // 1 for grey, 3 for colour: what Decode makes of it unless Options ask for others
	Height      int    // in pixels, upright
	Width       int    // in pixels, upright
	Orientation int    // 1 to 8, as in EXIF: how the stored pixels are turned and mirrored
}

// Stored is the size of the pixels in the file, before they are turned upright.
func (c Config) Stored() (height, width int) {
	if c.Orientation >= 5 {
		return c.Width, c.Height
	}
	return c.Height, c.Width
}

// codec is how one format is read. config tells the size as it is stored; decode is called for what
// config took, and within the limits.
type codec struct {
	config func(data []byte) (Config, error)
	decode func(ctx context.Context, data []byte, config Config) (*raster, error)
}

// quick is a codec's decode of a format whose time is bounded by its size and its pixels.
func quick(decode func(data []byte, config Config) (*raster, error)) func(context.Context, []byte,
	Config) (*raster, error) {
	return func(_ context.Context, data []byte, config Config) (*raster, error) {
		return decode(data, config)
	}
}

func codecOf(format string) (codec, bool) {
	switch format {
	case PNG:
		return codec{configPNG, quick(decodePNG)}, true
	case JPEG:
		return codec{configJPEG, decodeJPEG}, true
	case GIF:
		return codec{configGIF, quick(decodeGIF)}, true
	case BMP:
		return codec{configBMP, quick(decodeBMP)}, true
	case TIFF:
		return codec{configTIFF, quick(decodeTIFF)}, true
	case WebP:
		return codec{configWebP, quick(decodeWebP)}, true
	}
	return codec{}, false
}

// ReadConfig tells a picture's format, size and channels from its header, without decoding it. It
// allocates little, whatever the size, and knows no limit.
func ReadConfig(data []byte) (Config, error) {
	_, config, err := readConfig(data)
	if err != nil {
		return Config{}, err
	}
	if config.Orientation >= 5 {
		config.Height, config.Width = config.Width, config.Height
	}
	return config, nil
}

// readConfig is ReadConfig with the size as it is stored.
func readConfig(data []byte) (reader codec, config Config, err error) {
	format := Format(data)
	reader, ok := codecOf(format)
	if !ok {
		return reader, config, refuse(data)
	}
	defer recovered(format, &err)
	config, err = reader.config(data)
	if err != nil {
		return reader, config, explain(format, data, err)
	}
	config.Format = format
	if config.Height < 1 || config.Width < 1 {
		return reader, config, fmt.Errorf("%s: the picture is %d pixels wide and %d high: %w",
			format, config.Width, config.Height, ErrDamaged)
	}
	return reader, config, nil
}

// Decode decodes a whole file: upright, opaque, in 8 bits. What follows the picture in data is
// passed over.
//
// Errors wrap ErrFormat, ErrUnsupported, ErrTooLarge, ErrTruncated or ErrDamaged, and say what to
// do; the caller adds the file's name.
func Decode(data []byte, options Options) (picture *Image, err error) {
	return DecodeContext(context.Background(), data, options)
}

// DecodeContext is Decode that ends with ctx, whose error it wraps then. A JPEG of a hundred
// kilobytes can be two hundred passes over fifty million pixels, which take long.
func DecodeContext(
	ctx context.Context, data []byte, options Options,
) (picture *Image, err error) {
	options, err = options.complete()
	if err != nil {
		return nil, err
	}
	if len(data) > options.MaxBytes {
		return nil, tooManyBytes(int64(len(data)), options)
	}
	reader, config, err := readConfig(data)
	if err != nil {
		return nil, err
	}
	if config.Width > options.MaxPixels/config.Height {
		return nil, fmt.Errorf(
			"%s: %d×%d pixels, and %d at most are read; make it smaller, or raise the limit: %w",
			config.Format, config.Width, config.Height, options.MaxPixels, ErrTooLarge)
	}
	defer recovered(config.Format, &err)
	decoded, err := reader.decode(ctx, data, config)
	if ended := ctx.Err(); ended != nil {
		return nil, fmt.Errorf("%s: the picture was not decoded to its end: %w", config.Format, ended)
	}
	if err != nil {
		return nil, explain(config.Format, data, err)
	}
	if decoded.Height != config.Height || decoded.Width != config.Width {
		return nil, fmt.Errorf("%s: the header tells of %d×%d pixels, the content of %d×%d: %w",
			config.Format, config.Width, config.Height, decoded.Width, decoded.Height, ErrDamaged)
	}
	picture = upright(decoded.flatten(*options.Background), config.Orientation)
	if options.Channels == 0 {
		return picture, nil
	}
	return picture.ToChannels(options.Channels)
}

// Read is Decode for what a reader gives, which is read to its end or to the limit.
func Read(r io.Reader, options Options) (*Image, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(options.MaxBytes)+1))
	if err != nil {
		return nil, err
	}
	return Decode(data, options)
}

// Load is Decode for a file. Errors name it. What is no ordinary file, a folder, a pipe or a
// device, is not opened.
func Load(path string, options Options) (*Image, error) {
	data, err := ReadFile(path, options)
	if err != nil {
		return nil, err
	}
	picture, err := Decode(data, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return picture, nil
}

// ReadFile returns the bytes of a file for Decode, as Load takes them: at most
// Options.MaxBytes.
func ReadFile(path string, options Options) ([]byte, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is no ordinary file (%s): %w", path, info.Mode().Type(), ErrFormat)
	}
	if info.Size() > int64(options.MaxBytes) {
		return nil, fmt.Errorf("%s: %w", path, tooManyBytes(info.Size(), options))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(options.MaxBytes)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(data) > options.MaxBytes: // it grew
		return nil, fmt.Errorf("%s: %w", path, tooManyBytes(int64(len(data)), options))
	}
	return data, nil
}

func tooManyBytes(n int64, options Options) error {
	return fmt.Errorf(
		"%d bytes, and %d at most are read; make the file smaller, or raise the limit: %w",
		n, options.MaxBytes, ErrTooLarge)
}

// recovered makes an error of a panic. The checks of this package keep from the decoders what is
// known to make them panic; but they are other people's, they have panicked on damaged files
// before, and one bad file of a million must not end a training.
func recovered(format string, err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("%s: its decoder failed (%v): %w", format, cause, ErrDamaged)
	}
}

// explain adds to a decoder's error what kind of fault it is, and what to do.
func explain(format string, data []byte, err error) error {
	var (
		unsupportedPNG  png.UnsupportedError
		unsupportedTIFF tiff.UnsupportedError
	)
	switch {
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrTruncated), errors.Is(err, ErrDamaged):
		return fmt.Errorf("%s: %w", format, err)
	// Package gif repeats the text of what it met, and wraps nothing.
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		strings.HasSuffix(err.Error(), "EOF"):
		return fmt.Errorf("%s: its %d bytes end before the picture does: %w",
			format, len(data), ErrTruncated)
	case errors.Is(err, jpeg.ErrTruncated):
		return fmt.Errorf("%s: its %d bytes: %w: %w", format, len(data), err, ErrTruncated)
	case errors.Is(err, jpeg.ErrUnsupported), errors.Is(err, bmp.ErrUnsupported),
		errors.As(err, &unsupportedPNG), errors.As(err, &unsupportedTIFF):
		return fmt.Errorf("%s: %w: %w", format, err, ErrUnsupported)
	}
	return fmt.Errorf("%s: %w: %w", format, err, ErrDamaged)
}

// holds says whether n bytes can hold a picture of so many bits, where a byte of the format tells
// of ratio bytes at most. It keeps a header without a picture behind it from being allocated for.
func holds(data []byte, ratio int, width, height, bits int) error {
	if int64(width)*int64(height)/8*int64(bits) > int64(ratio)*int64(len(data)) {
		return fmt.Errorf("%d bytes cannot hold %d×%d pixels: %w", len(data), width, height, ErrTruncated)
	}
	return nil
}
