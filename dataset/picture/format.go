package picture

import (
	"bytes"
	"fmt"
	"strings"
)

// The formats that are read, as Format and Config name them.
const (
	PNG  = "PNG"
	JPEG = "JPEG"
	GIF  = "GIF"
	BMP  = "BMP"
	TIFF = "TIFF"
	WebP = "WebP"
)

// Format tells a picture's format by its first bytes, never by a name: PNG, JPEG, GIF, BMP, TIFF or WebP, and "" for what is none of these. The first 32
// bytes are enough.
func Format(data []byte) string {
	starts := func(prefix string) bool { return bytes.HasPrefix(data, []byte(prefix)) }
	switch {
	case starts("\x89PNG\r\n\x1a\n"):
		return PNG
	case starts("\xff\xd8\xff"):
		return JPEG
	case starts("GIF87a"), starts("GIF89a"):
		return GIF
	case starts("II*\x00"), starts("MM\x00*"):
		return TIFF
	case len(data) >= 12 && starts("RIFF") && string(data[8:12]) == "WEBP":
		return WebP
	// "BM" alone begins many a text: the header's length must be one that is in use.
	case len(data) >= 18 && starts("BM") && data[15] == 0 && data[16] == 0 && data[17] == 0 &&
		bytes.IndexByte([]byte{12, 16, 40, 52, 56, 64, 108, 124}, data[14]) >= 0:
		return BMP
	}
	return ""
}

// refuse is the error for what is in no format that is read here. It says what the bytes begin as.
func refuse(data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("the file is empty: %w", ErrFormat)
	}
	what := beginning(data)
	if what == "" {
		return fmt.Errorf("no picture: it begins with %s: %w", quoteStart(data), ErrFormat)
	}
	return fmt.Errorf("it begins as %s: %w", what, ErrFormat)
}

// beginning names what is no picture that is read here, by its first bytes; "" if they say nothing.
func beginning(data []byte) string {
	for _, known := range []struct {
		offset       int
		prefix, name string
	}{
		{0, "%PDF", "a PDF"},
		{0, "%!PS", "PostScript"},
		{0, "8BPS", "a Photoshop file"},
		{0, "PK\x03\x04", "a ZIP archive"},
		{0, "\x1f\x8b", "a gzip file"},
		{0, "BZh", "a bzip2 file"},
		{0, "\xfd7zXZ\x00", "an xz file"},
		{0, "7z\xbc\xaf\x27\x1c", "a 7z archive"},
		{0, "Rar!", "a RAR archive"},
		{257, "ustar", "a tar archive"},
		{4, "ftypheic", "a HEIC picture"},
		{4, "ftypheix", "a HEIC picture"},
		{4, "ftyphevc", "a HEIC picture"},
		{4, "ftypmif1", "a HEIF picture"},
		{4, "ftypmsf1", "a HEIF picture"},
		{4, "ftypavif", "an AVIF picture"},
		{4, "ftypavis", "an AVIF picture"},
		{4, "ftypcrx", "a Canon raw picture"},
		{4, "ftyp", "a video (MP4 or QuickTime)"},
		{0, "\x00\x00\x00\x0cJXL ", "a JPEG XL picture"},
		{0, "\xff\x0a", "a JPEG XL picture"},
		{0, "\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"},
		{0, "\xff\x4f\xff\x51", "a JPEG 2000 picture"},
		{0, "II+\x00", "a BigTIFF"},
		{0, "MM\x00+", "a BigTIFF"},
		{0, "\x00\x00\x01\x00", "a Windows icon"},
		{0, "\x00\x00\x02\x00", "a Windows cursor"},
		{0, "qoif", "a QOI picture"},
		{0, "RIFF", "a RIFF file (sound or video)"},
		{0, "\x1aE\xdf\xa3", "a video (Matroska or WebM)"},
		{0, "ID3", "an MP3"},
		{0, "\x7fELF", "a program"},
		{0, "MZ", "a Windows program"},
		{0, "\x93NUMPY", "a NumPy array"},
		{0, "\x89HDF", "an HDF5 file"},
		{0, "SQLite format 3", "an SQLite database"},
		{0, "PAR1", "a Parquet file"},
		{0, "\x00\x00\x08\x03", "an IDX file of images"},
		{0, "\x00\x00\x08\x01", "an IDX file of labels"},
		{0, "\x00\x05\x16\x07", "a macOS resource fork (._ file)"},
		{0, "\x00\x00\x00\x01Bud1", "a macOS folder's settings (.DS_Store)"},
		{0, "version https://git-lfs", "a Git LFS pointer, in place of the file itself"},
	} {
		if len(data) >= known.offset && bytes.HasPrefix(data[known.offset:], []byte(known.prefix)) {
			return known.name
		}
	}
	if len(data) > 2 && data[0] == 'P' && data[1] >= '1' && data[1] <= '7' && strings.ContainsRune(" \t\r\n", rune(data[2])) {
		return "a Netpbm picture (PBM, PGM or PPM)"
	}
	text := strings.ToLower(string(bytes.TrimLeft(data[:min(len(data), 512)], "\xef\xbb\xbf \t\r\n")))
	switch {
	case strings.HasPrefix(text, "<svg"), strings.HasPrefix(text, "<?xml") && strings.Contains(text, "<svg"):
		return "an SVG drawing"
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.HasPrefix(text, "<head"):
		return "HTML, a page in place of a picture"
	case strings.HasPrefix(text, "<?xml"):
		return "XML"
	}
	return ""
}

// quoteStart shows the first bytes, as text where they are text.
func quoteStart(data []byte) string {
	start := data[:min(len(data), 16)]
	for _, b := range start {
		if b < ' ' || b > '~' {
			return fmt.Sprintf("the bytes % x", start[:min(len(start), 8)])
		}
	}
	return fmt.Sprintf("%q", start)
}
