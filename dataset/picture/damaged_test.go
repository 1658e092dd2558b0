package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/dataset/picture"
	"slipway/internal/cputime"
)

// inDecoder says whether an error comes from a decoder's panic.
func inDecoder(err error) bool {
	return err != nil && strings.Contains(err.Error(), "its decoder failed")
}

func TestDecodeOfFilesThatAreCutOff(t *testing.T) {
	for name, want := range goldenUnder(t, "decoded/") {
		t.Run(name, func(t *testing.T) {
			whole := pictureFile(t, name)
			step := max(len(whole)/150, 1)
			for n := 0; n < len(whole); n += step {
				got, err := picture.Decode(whole[:n], picture.Options{})
				switch {
				case inDecoder(err):
					t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
				case err == nil && (got.Height != want.Height || !bytes.Equal(got.Pixels, want.Pixels)):
					t.Fatalf("%d of %d bytes are taken for a picture that is another", n, len(whole))
				case err != nil && n >= 32 && !errors.Is(err, picture.ErrTruncated):
					t.Fatalf("%d of %d bytes: the error does not say that the file is cut off: %v",
						n, len(whole), err)
				}
			}
		})
	}
}

func TestDecodePassesOverWhatFollows(t *testing.T) {
	for name, want := range goldenUnder(t, "decoded/") {
		for _, tail := range []string{"\x00", "\r\n", "<html>a page</html>",
			strings.Repeat("\xff\xd8\xff", 30)} {
			got, err := picture.Decode(append(pictureFile(t, name), tail...), picture.Options{})
			if err != nil || !bytes.Equal(got.Pixels, want.Pixels) {
				t.Errorf("%s and %q: %v", name, tail[:min(len(tail), 8)], err)
			}
		}
	}
}

func TestDecodeOfDamagedFilesEndsWithAPictureOrAnError(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for name := range goldenUnder(t, "decoded/") {
		t.Run(name, func(t *testing.T) {
			whole := pictureFile(t, name)
			for range 200 {
				damaged := slices.Clone(whole)
				for range 1 + chance.IntN(4) {
					damaged[chance.IntN(len(damaged))] = byte(chance.Uint32())
				}
				got, err := picture.Decode(damaged, picture.Options{MaxPixels: 1 << 20})
				if inDecoder(err) {
					t.Errorf("%v", err)
				}
				if err == nil && len(got.Pixels) != got.Channels*got.Height*got.Width {
					t.Errorf("%d×%d×%d with %d pixels' values",
						got.Channels, got.Height, got.Width, len(got.Pixels))
				}
			}
		})
	}
}

// changedPNG sets a PNG's size, with the right checksum.
func changedPNG(data []byte, width, height uint32) []byte {
	out := slices.Clone(data)
	binary.BigEndian.PutUint32(out[16:], width)
	binary.BigEndian.PutUint32(out[20:], height)
	binary.BigEndian.PutUint32(out[29:], crc32.ChecksumIEEE(out[12:29]))
	return out
}

// changedJPEG sets the size in a JPEG's frame header.
func changedJPEG(data []byte, width, height uint16) []byte {
	out := slices.Clone(data)
	at := bytes.Index(out, []byte{0xFF, 0xC0, 0, 17, 8})
	binary.BigEndian.PutUint16(out[at+5:], height)
	binary.BigEndian.PutUint16(out[at+7:], width)
	return out
}

func changedGIF(data []byte, width, height uint16) []byte {
	out := slices.Clone(data)
	binary.LittleEndian.PutUint16(out[6:], width)
	binary.LittleEndian.PutUint16(out[8:], height)
	return out
}

func changedBMP(data []byte, width, height uint32) []byte {
	out := slices.Clone(data)
	binary.LittleEndian.PutUint32(out[18:], width)
	binary.LittleEndian.PutUint32(out[22:], height)
	return out
}

// smallTIFF is a directory of a grey picture, and no pixels.
func smallTIFF(width, height uint32) []byte {
	out := []byte("II*\x00\x08\x00\x00\x00\x06\x00")
	for _, entry := range [][3]uint32{{256, 4, width}, {257, 4, height}, {258, 3, 8}, {262, 3, 1},
		{273, 4, 8}, {279, 4, 60}} {
		out = binary.LittleEndian.AppendUint16(out, uint16(entry[0]))
		out = binary.LittleEndian.AppendUint16(out, uint16(entry[1]))
		out = binary.LittleEndian.AppendUint32(out, 1)
		out = binary.LittleEndian.AppendUint32(out, entry[2])
	}
	return append(out, 0, 0, 0, 0)
}

// changedWebP puts an extended header in front of a lossless picture.
func changedWebP(data []byte, width, height uint32) []byte {
	body := append([]byte("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), byte(width-1), byte((width-1)>>8),
		byte((width-1)>>16), byte(height-1), byte((height-1)>>8), byte((height-1)>>16))
	body = append(body, data[12:]...)
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+4))
	return append(append(out, "WEBP"...), body...)
}

func TestDecompressionBombsAreRefusedFromTheHeader(t *testing.T) {
	vp8l := pictureFile(t, "webp-lossless")
	inside := slices.Clone(vp8l)
	copy(inside[21:], []byte{0xFF, 0xFF, 0xFF, 0x0F}) // 16,384×16,384
	bombs := map[string][]byte{
		"png":             changedPNG(pictureFile(t, "png-rgb"), 50_000, 50_000),
		"png, all sizes":  changedPNG(pictureFile(t, "png-rgb"), 1<<31-1, 1<<31-1),
		"jpeg":            changedJPEG(pictureFile(t, "jpeg-420"), 50_000, 50_000),
		"gif":             changedGIF(pictureFile(t, "gif"), 50_000, 50_000),
		"bmp":             changedBMP(pictureFile(t, "bmp-rgb"), 50_000, 50_000),
		"tiff":            smallTIFF(50_000, 50_000),
		"tiff, all sizes": smallTIFF(1<<32-1, 1<<32-1),
		"webp":            changedWebP(vp8l, 50_000, 50_000),
		"webp inside":     inside,
		"webp hidden":     changedWebP(inside, 31, 23),
	}
	for name, data := range bombs {
		refusedAtOnce(t, name, data, func(err error) bool {
			return errors.Is(err, picture.ErrTooLarge) || name == "webp hidden" &&
				errors.Is(err, picture.ErrDamaged)
		})
	}
	// Within the limit, and nothing behind the header.
	for name, data := range map[string][]byte{
		"png":  changedPNG(pictureFile(t, "png-rgb"), 10_000, 10_000),
		"jpeg": changedJPEG(pictureFile(t, "jpeg-420"), 10_000, 10_000),
		"bmp":  changedBMP(pictureFile(t, "bmp-rgb"), 10_000, 10_000),
		"tiff": smallTIFF(10_000, 10_000),
	} {
		refusedAtOnce(t, name+" without pixels", data, func(err error) bool {
			return errors.Is(err, picture.ErrTruncated)
		})
	}
}

func refusedAtOnce(t *testing.T, name string, data []byte, right func(error) bool) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cputime.Used()
	_, err := picture.Decode(data, picture.Options{})
	took := cputime.Used() - start
	runtime.ReadMemStats(&after)
	if !right(err) {
		t.Errorf("%s: %v", name, err)
	}
	// Ten milliseconds are a thousand times what it takes; the least of some tries keeps other work
	// on the machine out.
	for range 5 {
		start := cputime.Used()
		_, _ = picture.Decode(data, picture.Options{})
		took = min(took, cputime.Used()-start)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 ||
		took > 10*time.Millisecond {
		t.Errorf("%s: %d bytes allocated in %v", name, allocated, took)
	}
}

func TestDecodeTellsWhatIsWrong(t *testing.T) {
	broken := slices.Clone(pictureFile(t, "png-rgb"))
	broken[len(broken)-20] ^= 1
	outside := slices.Clone(pictureFile(t, "gif"))
	outside[6], outside[8] = 8, 8
	jpeg := pictureFile(t, "jpeg-quality-100")
	for name, test := range map[string]struct {
		data []byte
		kind error
		says string
	}{
		"empty": {nil, picture.ErrFormat, "empty"},
		"text":  {[]byte("hello"), picture.ErrFormat, `"hello"`},
		"bytes": {[]byte{1, 2, 3}, picture.ErrFormat, "01 02 03"},
		"PDF":   {[]byte("%PDF-1.7"), picture.ErrFormat, "a PDF"},
		"HTML":  {[]byte("\n <!DOCTYPE html><html>"), picture.ErrFormat, "HTML"},
		"SVG":   {[]byte(`<?xml version="1.0"?><svg>`), picture.ErrFormat, "SVG"},
		"HEIC":  {[]byte("\x00\x00\x00\x18ftypheic"), picture.ErrFormat, "HEIC"},
		"BM": {[]byte("BMW is a make of cars, and no bitmap"), picture.ErrFormat,
			`"BMW is`},
		"IDX":           {[]byte("\x00\x00\x08\x03\x00\x00"), picture.ErrFormat, "IDX"},
		"PNG, checksum": {broken, picture.ErrDamaged, "checksum"},
		"PNG, no width": {changedPNG(pictureFile(t, "png-rgb"), 0, 3), picture.ErrDamaged, "PNG"},
		"JPEG, no width": {changedJPEG(pictureFile(t, "jpeg-420"), 0, 3), picture.ErrDamaged,
			"0 pixels wide"},
		"JPEG, half": {jpeg[:len(jpeg)/2], picture.ErrTruncated, "of 35"},
		"JPEG, DNL": {changedJPEG(pictureFile(t, "jpeg-420"), 3, 0), picture.ErrUnsupported,
			"height after its pixels"},
		"JPEG, arithmetic": {bytes.Replace(jpeg, []byte{0xFF, 0xC0}, []byte{0xFF, 0xC9}, 1),
			picture.ErrUnsupported, "arithmetic"},
		"GIF, outside": {outside, picture.ErrDamaged, "frame bounds"},
		"GIF, no width": {changedGIF(pictureFile(t, "gif"), 0, 0), picture.ErrDamaged,
			"0 pixels wide"},
		"BMP, no width": {changedBMP(pictureFile(t, "bmp-rgb"), 0, 0), picture.ErrDamaged,
			"0 pixels wide"},
		"TIFF, no width":     {smallTIFF(0, 0), picture.ErrDamaged, "0 pixels wide"},
		"TIFF, no directory": {[]byte("II*\x00\xff\xff\x00\x00"), picture.ErrTruncated, "cut off"},
	} {
		_, err := picture.Decode(test.data, picture.Options{})
		if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadNamesTheFileAndOpensNoPipe(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "notes.png")
	if err := os.WriteFile(path, []byte("notes"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{path, folder, filepath.Join(folder, "missing.png")} {
		if _, err := picture.Load(bad, picture.Options{}); err == nil ||
			!strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := picture.Load("testdata/pictures/gif", picture.Options{MaxBytes: 100}); !errors.Is(err,
		picture.ErrTooLarge) {
		t.Errorf("above MaxBytes: %v", err)
	}
	if _, err := picture.Read(bytes.NewReader(make([]byte, 1000)),
		picture.Options{MaxBytes: 999}); !errors.Is(err, picture.ErrTooLarge) {
		t.Errorf("above MaxBytes, from a reader: %v", err)
	}
	got, err := picture.Load("testdata/pictures/gif", picture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, goldenUnder(t, "decoded/")["gif"])
}

func TestOptionsAreChecked(t *testing.T) {
	for _, options := range []picture.Options{{Channels: 2}, {Channels: -1}, {MaxPixels: -1},
		{MaxBytes: -1}} {
		if _, err := picture.Decode(pictureFile(t, "gif"), options); err == nil {
			t.Errorf("%+v is taken", options)
		}
	}
}

// FuzzDecode begins with the golden pictures.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/pictures/*")
	if err != nil || len(files) == 0 {
		f.Fatalf("no pictures: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config, configError := picture.ReadConfig(data)
		got, err := picture.Decode(data, picture.Options{MaxPixels: 1 << 18})
		if inDecoder(configError) || inDecoder(err) {
			t.Fatalf("%v; %v", configError, err)
		}
		if err != nil {
			return
		}
		if configError != nil || got.Channels != config.Channels || got.Height != config.Height ||
			got.Width != config.Width || len(got.Pixels) != got.Channels*got.Height*got.Width {
			t.Fatalf("%d×%d×%d with %d values, after %+v, %v",
				got.Channels, got.Height, got.Width, len(got.Pixels), config, configError)
		}
	})
}
