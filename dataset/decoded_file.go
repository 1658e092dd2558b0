package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"slipway/dataset/picture"
)

// A pack is a file of decoded pictures:
//
//	packMagic, the key (32 bytes)
//	the pixels of each picture, C×H×W, in any order
//	an entry for each picture, in the order of the set
//	the sha256 of the entries (32 bytes), where they begin (8), their bytes (8), packMagic
//
// An entry is the sha256 of the picture's file (32), where its pixels begin (8), channels,
// height, width and the CRC-32C of the pixels (4 each), and the length (4) and the text of
// what is wrong with it, empty for a picture. Numbers are little-endian. The pixels are
// read with pread instead of being mapped into memory: what is mapped counts as the
// process's own, and a file that somebody cuts off would end it by a signal.
const packMagic = "slipway pictures 1\n"

const (
	packHead  = len(packMagic) + sha256.Size
	packFoot  = sha256.Size + 16 + len(packMagic)
	packEntry = sha256.Size + 8 + 5*4
)

// errPack is wrapped by errors about a pack's content.
var errPack = errors.New("the file of decoded pictures is damaged")

func packTable() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// packed is the entry of a picture.
type packed struct {
	fact
	offset   int64
	checksum uint32
}

// packWriter writes a pack. Its methods are called one at a time.
type packWriter struct {
	w       io.Writer
	key     [sha256.Size]byte
	facts   []fact
	entries []packed
	at      int64
	table   *crc32.Table
}

func newPackWriter(w io.Writer, key [sha256.Size]byte, facts []fact) *packWriter {
	return &packWriter{w: w, key: key, facts: facts, entries: make([]packed, len(facts)),
		table: packTable()}
}

func (p *packWriter) put(data []byte) error {
	n, err := p.w.Write(data)
	p.at += int64(n)
	return err
}

// write appends the picture of that place.
func (p *packWriter) write(place int, image *picture.Image) error {
	if p.at == 0 {
		if err := p.put(append([]byte(packMagic), p.key[:]...)); err != nil {
			return err
		}
	}
	p.entries[place].offset, p.entries[place].checksum = p.at, crc32.Checksum(image.Pixels, p.table)
	return p.put(image.Pixels)
}

// finish writes the entries.
func (p *packWriter) finish() error {
	var encoded []byte
	for place, entry := range p.entries {
		encoded = appendEntry(encoded, packed{p.facts[place], entry.offset, entry.checksum})
	}
	begin, sum := p.at, sha256.Sum256(encoded)
	foot := binary.LittleEndian.AppendUint64(sum[:], uint64(begin))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(encoded)))
	if err := p.put(encoded); err != nil {
		return err
	}
	return p.put(append(foot, packMagic...))
}

func appendEntry(to []byte, entry packed) []byte {
	text := ""
	if entry.damaged != nil {
		text = entry.damaged.Error()
	}
	to = append(to, entry.content[:]...)
	to = binary.LittleEndian.AppendUint64(to, uint64(entry.offset))
	for _, n := range []int{entry.channels, entry.height, entry.width, int(entry.checksum),
		len(text)} {
		to = binary.LittleEndian.AppendUint32(to, uint32(n))
	}
	return append(to, text...)
}

// pack reads a file of decoded pictures.
type pack struct {
	file    *os.File
	entries []packed
	table   *crc32.Table
	// sound has of each picture the time of the file at which its pixels have been what was
	// written. They are checked when they are first read, and again once the file has been
	// written to: a check of each read costs a tenth of a random resized crop.
	sound []atomic.Int64
	// files decodes the pictures whose pixels the pack has lost.
	files *inFiles
	// say tells of the first of them alone: there can be as many as pictures, in each
	// epoch, and readers come to them at the same time.
	say  func(format string, args ...any)
	told sync.Once
}

// openPack opens the pack of that key with so many pictures.
func openPack(path string, key [sha256.Size]byte, count int) (p *pack, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	head, foot := make([]byte, packHead), make([]byte, packFoot)
	if info.Size() < int64(packHead+packFoot) {
		return nil, fmt.Errorf("%w: it has %d bytes", errPack, info.Size())
	}
	if _, err := file.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if _, err := file.ReadAt(foot, info.Size()-int64(packFoot)); err != nil {
		return nil, err
	}
	if !bytes.Equal(head, append([]byte(packMagic), key[:]...)) || !bytes.HasSuffix(foot,
		[]byte(packMagic)) {
		return nil, fmt.Errorf("%w: it begins or ends as another file", errPack)
	}
	begin := int64(binary.LittleEndian.Uint64(foot[sha256.Size:]))
	length := int64(binary.LittleEndian.Uint64(foot[sha256.Size+8:]))
	if begin < int64(packHead) || length < 0 || begin > info.Size() ||
		begin+length != info.Size()-int64(packFoot) {
		return nil, fmt.Errorf("%w: its entries are not where it says", errPack)
	}
	encoded := make([]byte, length)
	if _, err := file.ReadAt(encoded, begin); err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(encoded); !bytes.Equal(sum[:], foot[:sha256.Size]) {
		return nil, fmt.Errorf("%w: the sum of its entries is another", errPack)
	}
	p = &pack{file: file, table: packTable()}
	if p.entries, err = readEntries(encoded, begin); err != nil {
		return nil, err
	}
	if len(p.entries) != count {
		return nil, fmt.Errorf("%w: it has %d pictures, the set has %d", errPack, len(p.entries),
			count)
	}
	p.sound = make([]atomic.Int64, count)
	return p, nil
}

// readEntries reads entries of pixels that end at end.
func readEntries(encoded []byte, end int64) ([]packed, error) {
	var entries []packed
	for len(encoded) > 0 {
		if len(encoded) < packEntry {
			return nil, fmt.Errorf("%w: an entry is cut off", errPack)
		}
		var entry packed
		rest := encoded[copy(entry.content[:], encoded):]
		entry.offset = int64(binary.LittleEndian.Uint64(rest))
		number := func(i int) int { return int(binary.LittleEndian.Uint32(rest[8+4*i:])) }
		entry.channels, entry.height, entry.width = number(0), number(1), number(2)
		entry.checksum = uint32(number(3))
		length := number(4)
		encoded = encoded[packEntry:]
		if length > len(encoded) {
			return nil, fmt.Errorf("%w: an entry is cut off", errPack)
		}
		if length > 0 {
			entry.damaged = errors.New(string(encoded[:length]))
		} else if c, h, w := entry.channels, entry.height, entry.width; (c != 1 && c != 3) ||
			h < 1 || w < 1 || h > math.MaxInt32/w/c ||
			entry.offset < int64(packHead) || entry.offset > end-int64(c*h*w) {
			return nil, fmt.Errorf("%w: picture %d is not where it says", errPack, len(entries))
		}
		encoded = encoded[length:]
		entries = append(entries, entry)
	}
	return entries, nil
}

func (p *pack) facts() []fact {
	facts := make([]fact, len(p.entries))
	for place := range facts {
		facts[place] = p.entries[place].fact
	}
	return facts
}

// bytes is how many bytes of pixels there are.
func (p *pack) bytes() (sum int64) {
	for _, entry := range p.entries {
		sum += int64(entry.channels * entry.height * entry.width)
	}
	return sum
}

// modified is when the file was last written to, 0 where that cannot be told.
func (p *pack) modified() int64 {
	info, err := p.file.Stat()
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}

// load implements pictureStore. Pixels that are not what was written are decoded again. Only a
// picture that is known to be sound is read in some rows: the sum is one of all.
func (p *pack) load(ctx context.Context, place int, rows Rows, into *picture.Image) error {
	entry := &p.entries[place]
	size := entry.channels * entry.height * entry.width
	into.Channels, into.Height, into.Width = entry.channels, entry.height, entry.width
	into.Pixels = slices.Grow(into.Pixels[:0], size)[:size]
	if at := p.modified(); at != 0 && at == p.sound[place].Load() {
		if err := p.read(into.Pixels, entry, rows); err == nil && at == p.modified() {
			return nil
		}
	}
	before := p.modified()
	_, err := p.file.ReadAt(into.Pixels, entry.offset)
	if err == nil && crc32.Checksum(into.Pixels, p.table) == entry.checksum {
		if before == p.modified() { // not written to while it was read
			p.sound[place].Store(before)
		}
		return nil
	}
	if err == nil {
		err = errPack
	}
	p.told.Do(func() {
		p.say("note: %s: %v at %s, which is decoded again, and so is what else it has lost; "+
			"dataset cache -clear removes the file", p.file.Name(), err, p.files.files[place].name)
	})
	return p.files.load(ctx, place, nil, into)
}

// read reads a picture's pixels in those rows, from each plane.
func (p *pack) read(pixels []uint8, entry *packed, rows Rows) error {
	height, width := entry.height, entry.width
	first, end := rows.of(height, width)
	if end-first == height {
		_, err := p.file.ReadAt(pixels, entry.offset)
		return err
	}
	for plane := 0; plane < len(pixels); plane += height * width {
		from, to := plane+first*width, plane+end*width
		if _, err := p.file.ReadAt(pixels[from:to], entry.offset+int64(from)); err != nil {
			return err
		}
	}
	return nil
}
