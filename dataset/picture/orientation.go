package picture

import "encoding/binary"

// upright turns and mirrors an image as a camera's note of how it was held asks for, the values 1 to 8 of EXIF's tag
// Orientation; others are 1, as it is.
func upright(m *Image, orientation int) *Image {
	if orientation < 2 || orientation > 8 {
		return m
	}
	height, width := m.Height, m.Width
	if orientation >= 5 {
		height, width = width, height
	}
	// The source of the pixel (y, x) is start + y·down + x·across.
	w, last := m.Width, m.Height*m.Width-1
	var start, down, across int
	switch orientation {
	case 2: // mirrored left to right
		start, down, across = w-1, w, -1
	case 3: // upside down
		start, down, across = last, -w, -1
	case 4: // mirrored top to bottom
		start, down, across = last-w+1, -w, 1
	case 5: // rows for columns
		start, down, across = 0, 1, w
	case 6: // a quarter turn clockwise
		start, down, across = last-w+1, 1, -w
	case 7: // rows for columns, from the other corner
		start, down, across = last, -1, -w
	case 8: // a quarter turn counterclockwise
		start, down, across = w-1, -1, w
	}
	out := New(m.Channels, height, width)
	for c := range m.Channels {
		from, to := m.plane(c), out.plane(c)
		for y := range height {
			at := start + y*down
			for x := range width {
				to[y*width+x] = from[at]
				at += across
			}
		}
	}
	return out
}

// orientationOf reads the tag from an EXIF block, which is a TIFF structure; 1 where there is none, or none that can be read:
// a picture is not refused for its camera's notes.
func orientationOf(exif []byte) int {
	directory, err := readDirectory(exif)
	if err != nil {
		return 1
	}
	if v, ok := directory.number(tagOrientation); ok && v >= 1 && v <= 8 {
		return int(v)
	}
	return 1
}

// directory is the first image file directory of a TIFF structure, with its entries of whole numbers.
type directory struct {
	data    []byte
	order   binary.ByteOrder
	entries []directoryEntry
}

type directoryEntry struct {
	tag, kind uint16
	count     uint32
	value     int // where its value, or the offset of its values, begins in data
}

const (
	tagWidth           = 256
	tagHeight          = 257
	tagBits            = 258
	tagPhotometric     = 262
	tagStripOffsets    = 273
	tagOrientation     = 274
	tagSamples         = 277
	tagRowsPerStrip    = 278
	tagStripByteCounts = 279
	tagPlanar          = 284
	tagTileWidth       = 322
	tagTileHeight      = 323
	tagTileByteCounts  = 325
)

func readDirectory(data []byte) (*directory, error) {
	if len(data) < 8 {
		return nil, ErrTruncated
	}
	d := &directory{data: data, order: binary.LittleEndian}
	switch string(data[:4]) {
	case "II*\x00":
	case "MM\x00*":
		d.order = binary.BigEndian
	default:
		return nil, ErrDamaged
	}
	at := int(d.order.Uint32(data[4:]))
	if at > len(data)-2 {
		return nil, ErrTruncated
	}
	n := int(d.order.Uint16(data[at:]))
	if at+2+12*n > len(data) {
		return nil, ErrTruncated
	}
	d.entries = make([]directoryEntry, n)
	for i := range d.entries {
		p := at + 2 + 12*i
		d.entries[i] = directoryEntry{d.order.Uint16(data[p:]), d.order.Uint16(data[p+2:]), d.order.Uint32(data[p+4:]), p + 8}
	}
	return d, nil
}

// numbers calls f with each value of a tag, as far as they are in the data, and says whether the tag is there.
func (d *directory) numbers(tag uint16, f func(v uint32)) bool {
	for _, entry := range d.entries {
		if entry.tag != tag {
			continue
		}
		var size int
		switch entry.kind {
		case 1: // BYTE
			size = 1
		case 3: // SHORT
			size = 2
		case 4: // LONG
			size = 4
		default:
			return false
		}
		at, count := entry.value, int(entry.count)
		if count > 4/size {
			at = int(d.order.Uint32(d.data[at:]))
		}
		for range count {
			if at > len(d.data)-size {
				break
			}
			switch size {
			case 1:
				f(uint32(d.data[at]))
			case 2:
				f(uint32(d.order.Uint16(d.data[at:])))
			case 4:
				f(d.order.Uint32(d.data[at:]))
			}
			at += size
		}
		return count > 0
	}
	return false
}

// number is the first value of a tag.
func (d *directory) number(tag uint16) (value uint32, ok bool) {
	d.numbers(tag, func(v uint32) {
		if !ok {
			value, ok = v, true
		}
	})
	return value, ok
}
