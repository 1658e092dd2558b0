package jpeg

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
)

// The markers of B.1.1.3 that are told apart here.
const (
	markerSOF0  = 0xC0 // baseline
	markerSOF1  = 0xC1 // extended sequential
	markerSOF2  = 0xC2 // progressive
	markerDHT   = 0xC4
	markerJPG   = 0xC8
	markerDAC   = 0xCC
	markerRST0  = 0xD0
	markerRST7  = 0xD7
	markerSOI   = 0xD8
	markerEOI   = 0xD9
	markerSOS   = 0xDA
	markerDQT   = 0xDB
	markerDRI   = 0xDD
	markerAPP0  = 0xE0
	markerAPP1  = 0xE1
	markerAPP14 = 0xEE
	markerTEM   = 0x01
)

// Header is what a file says about its picture before the pixels begin.
type Header struct {
	Width, Height int
	Components    int    // 1, 3 or 4
	Progressive   bool   // in several passes over the picture
	Exif          []byte // the TIFF structure of the first Exif segment, or nil
}

// Picture is a decoded file.
type Picture struct {
	Width, Height int
	Channels      int     // 1 for grey, 3 for red, green and blue
	Pixels        []uint8 // Channels×Height×Width
}

// component is one plane of samples as the file has it (B.2.2).
type component struct {
	id           uint8
	h, v         int // sampling factors
	quantization uint8

	width, height            int // in samples
	blocksWide, blocksHigh   int // that hold samples
	blocksAcross, blocksDown int // with those that fill the last minimum coded unit

	seen         bool
	steps        *[64]int32  // the quantization table as it was at the first scan, in natural order
	plane        []uint8     // blocksDown·8 rows of blocksAcross·8 samples
	coefficients [][64]int16 // of a progressive file, in zigzag order
}

type decoder struct {
	ctx      context.Context
	data     []byte
	position int

	width, height int
	progressive   bool
	components    []component
	maxH, maxV    int
	unitsAcross   int
	unitsDown     int

	quantization    [4]*[64]int32
	tables          [2][4]huffman
	restartInterval int
	exif            []byte
	jfif, adobe     bool
	adobeTransform  uint8

	bits      bitReader
	scans     int   // how many have begun
	endOfBand int32 // how many blocks more a progressive scan skips
}

// DecodeHeader reads a file as far as its picture's size, and allocates next to nothing.
func DecodeHeader(data []byte) (Header, error) {
	d := decoder{ctx: context.Background(), data: data}
	if err := d.read(true); err != nil {
		return Header{}, err
	}
	return Header{d.width, d.height, len(d.components), d.progressive, d.exif}, nil
}

// Decode decodes a file. How large a picture may be is for the caller to say, who knows from
// DecodeHeader; what is allocated is bounded by the file's length, too. The time is not, since a
// pass over a picture takes few bytes: it ends with ctx, whose error is returned then.
func Decode(ctx context.Context, data []byte) (*Picture, error) {
	d := decoder{ctx: ctx, data: data}
	if err := d.read(false); err != nil {
		return nil, err
	}
	for i := range d.components {
		if !d.components[i].seen {
			return nil, fmt.Errorf("component %d of %d is missing: %w", i+1, len(d.components), ErrTruncated)
		}
	}
	if d.progressive {
		if err := d.reconstruct(); err != nil {
			return nil, err
		}
	}
	channels, pixels, err := d.planes()
	if err != nil {
		return nil, err
	}
	return &Picture{d.width, d.height, channels, pixels}, nil
}

// read goes through the segments: all, or those before the first scan.
func (d *decoder) read(headerOnly bool) error {
	if !bytes.HasPrefix(d.data, []byte{0xFF, markerSOI}) {
		return invalid("it does not begin with FF D8")
	}
	d.position = 2
	for {
		marker, ok := d.nextMarker()
		if !ok {
			return d.ended()
		}
		if marker == markerEOI {
			if headerOnly || d.components == nil {
				return invalid("it ends without a picture")
			}
			return nil
		}
		if marker == markerTEM || marker >= markerRST0 && marker <= markerSOI {
			continue // They stand alone, and mean nothing here.
		}
		segment, err := d.segment(marker)
		if err != nil {
			return err
		}
		switch {
		case marker == markerSOS:
			if headerOnly && d.components != nil {
				return nil
			}
			err = d.scan(segment)
		case marker == markerDHT:
			if !headerOnly {
				err = d.readHuffman(segment)
			}
		case marker == markerDQT:
			err = d.readQuantization(segment)
		case marker == markerDRI:
			if len(segment) < 2 {
				return invalid("a restart interval of %d bytes", len(segment))
			}
			d.restartInterval = int(binary.BigEndian.Uint16(segment))
		case marker >= markerSOF0 && marker <= 0xCF && marker != markerJPG && marker != markerDAC:
			err = d.readFrame(marker, segment)
		default:
			d.readApplication(marker, segment)
		}
		if err != nil {
			return err
		}
	}
}

// ended is called where no marker follows. A sequential picture whose every component was read is
// whole, whatever follows.
func (d *decoder) ended() error {
	whole := len(d.components) > 0 && !d.progressive
	for _, c := range d.components {
		whole = whole && c.seen
	}
	if whole {
		return nil
	}
	if d.components == nil {
		return fmt.Errorf("it ends before its picture begins: %w", ErrTruncated)
	}
	return fmt.Errorf("it ends before its last pass over the picture: %w", ErrTruncated)
}

// nextMarker finds the next marker, passing over bytes that belong to nothing, as libjpeg does.
func (d *decoder) nextMarker() (marker byte, ok bool) {
	for d.position+1 < len(d.data) {
		next := bytes.IndexByte(d.data[d.position:], 0xFF)
		if next < 0 {
			break
		}
		d.position += next
		for d.position < len(d.data) && d.data[d.position] == 0xFF {
			d.position++
		}
		if d.position < len(d.data) && d.data[d.position] != 0 {
			d.position++
			return d.data[d.position-1], true
		}
	}
	d.position = len(d.data)
	return 0, false
}

func (d *decoder) segment(marker byte) ([]byte, error) {
	if d.position+2 > len(d.data) {
		return nil, fmt.Errorf("it ends in the segment %#x: %w", marker, ErrTruncated)
	}
	length := int(binary.BigEndian.Uint16(d.data[d.position:]))
	if length < 2 {
		return nil, invalid("the segment %#x has the length %d", marker, length)
	}
	if d.position+length > len(d.data) {
		return nil, fmt.Errorf("it ends in the segment %#x: %w", marker, ErrTruncated)
	}
	segment := d.data[d.position+2 : d.position+length]
	d.position += length
	return segment, nil
}

func (d *decoder) readApplication(marker byte, segment []byte) {
	switch {
	case marker == markerAPP0 && bytes.HasPrefix(segment, []byte("JFIF\x00")):
		d.jfif = true
	case marker == markerAPP1 && bytes.HasPrefix(segment, []byte("Exif\x00")) && len(segment) > 6:
		if d.exif == nil {
			d.exif = segment[6:]
		}
	case marker == markerAPP14 && bytes.HasPrefix(segment, []byte("Adobe")) && len(segment) >= 12:
		d.adobe, d.adobeTransform = true, segment[11]
	}
}

// readQuantization reads the tables of a DQT segment (B.2.4.1).
func (d *decoder) readQuantization(segment []byte) error {
	for len(segment) > 0 {
		wide, slot := int(segment[0]>>4), segment[0]&15
		if wide > 1 || slot > 3 {
			return invalid("quantization table %#02x, of 0 to 3 with 8 or 16 bits", segment[0])
		}
		size := 64 << wide
		if len(segment) < 1+size {
			return invalid("a quantization table of %d bytes, of %d", len(segment)-1, size)
		}
		// A new array each time: components keep the one that their first scan had.
		table := new([64]int32)
		for i, place := range zigzag {
			if wide == 1 {
				table[place] = int32(binary.BigEndian.Uint16(segment[1+2*i:]))
			} else {
				table[place] = int32(segment[1+i])
			}
		}
		d.quantization[slot] = table
		segment = segment[1+size:]
	}
	return nil
}

// zigzag is each coefficient's place in natural order (A.3.6).
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}
