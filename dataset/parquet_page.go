package dataset

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"slipway/dataset/picture"
)

const (
	// maxPage is the largest page that is read, in bytes, packed or unpacked: 100 rows of
	// photographs are some 30 MB, and the format ends at 2 GiB.
	maxPage = 1 << 30
	// maxExpansion is the most bytes that one byte of a page becomes: 1032 is deflate's
	// limit. Encoded pictures hardly change.
	maxExpansion = 1100
	// maxPageHeader is the longest header of a page; statistics in it may hold values.
	maxPageHeader = 1 << 20
)

// parquetPage is a page of a column, the smallest piece that can be read by itself.
type parquetPage struct {
	file           reopenedFile
	chunk          *parquet.FileColumnChunk
	dictionary     int64 // bytes of the dictionary's page before it, 0 if there is none
	begin          int64 // of the chunk
	offset, length int64 // of the page, header and data
	rows           int
}

// columnPages finds the pages of a column by their headers.
func columnPages(reopened reopenedFile, file *parquet.File, column *parquet.Column,
) ([]parquetPage, error) {
	var pages []parquetPage
	left := file.NumRows()
	for i, group := range file.RowGroups() {
		chunks := group.ColumnChunks()
		if column.Index() < 0 || column.Index() >= len(chunks) {
			return nil, fmt.Errorf("%w: group %d of rows has %d columns; copy or download it again",
				ErrCount, i, len(chunks))
		}
		chunk, ok := chunks[column.Index()].(*parquet.FileColumnChunk)
		if !ok || i >= len(file.Metadata().RowGroups) {
			return nil, fmt.Errorf("%w: group %d of rows is not in the file", ErrCount, i)
		}
		about := file.Metadata().RowGroups[i].Columns[column.Index()].MetaData
		found, rows, err := chunkPages(reopened, chunk, about, left)
		if err != nil {
			return nil, fmt.Errorf("group %d of rows, the column %s: %w", i, column.Name(), err)
		}
		if rows != group.NumRows() {
			return nil, fmt.Errorf("group %d of rows: %w: %d, and its pages have %d; copy or "+
				"download it again", i, ErrCount, group.NumRows(), rows)
		}
		left -= rows
		pages = append(pages, found...)
	}
	return pages, nil
}

// chunkPages finds the pages of a column in a group of rows: at most left of them.
func chunkPages(file reopenedFile, chunk *parquet.FileColumnChunk, about format.ColumnMetaData,
	left int64) (pages []parquetPage, rows int64, err error) {
	begin := about.DataPageOffset
	if about.DictionaryPageOffset != 0 {
		begin = about.DictionaryPageOffset
	}
	end := begin + about.TotalCompressedSize
	if begin < 4 || about.TotalCompressedSize < 0 || end < begin || end > file.size {
		return nil, 0, fmt.Errorf("%w: it lies at %d to %d of %d bytes; copy or download it again",
			ErrTruncated, begin, end, file.size)
	}
	dictionary := int64(0)
	for offset := begin; offset < end && rows < chunk.NumValues(); {
		header, length, err := pageHeader(file, offset, end)
		if err != nil {
			return nil, 0, fmt.Errorf("at byte %d: %w", offset, err)
		}
		n := int64(0)
		switch {
		case header.Type == format.DictionaryPage && offset == begin:
			dictionary = length
		case header.Type == format.DataPage && header.DataPageHeader.Valid:
			n = int64(header.DataPageHeader.V.NumValues)
		case header.Type == format.DataPageV2 && header.DataPageHeaderV2.Valid:
			n = int64(header.DataPageHeaderV2.V.NumValues)
		default:
			return nil, 0, fmt.Errorf("at byte %d: %w: a page of the type %s", offset, ErrArgument,
				header.Type)
		}
		if n < 0 || n > left-rows {
			return nil, 0, fmt.Errorf("at byte %d: %w: a page of %d rows; copy or download it again",
				offset, ErrCount, n)
		}
		if n > 0 {
			page := parquetPage{file, chunk, dictionary, begin, offset, length, int(n)}
			pages = append(pages, page)
		}
		rows += n
		offset += length
	}
	return pages, rows, nil
}

// pageHeader reads a page's header, and returns how long the page is with it.
func pageHeader(file reopenedFile, offset, end int64) (*format.PageHeader, int64, error) {
	for window := int64(1 << 12); ; window *= 16 {
		window = min(window, end-offset)
		begin := make([]byte, window)
		if _, err := file.ReadAt(begin, offset); err != nil {
			return nil, 0, err
		}
		var protocol thrift.CompactProtocol
		reader := protocol.NewReaderFromBytes(begin)
		header := new(format.PageHeader)
		err := thrift.NewDecoder(reader).Decode(header)
		if err != nil && window < min(maxPageHeader, end-offset) {
			continue // it may be longer
		}
		if err != nil {
			return nil, 0, damagedParquet(err)
		}
		packed, unpacked := int64(header.CompressedPageSize), int64(header.UncompressedPageSize)
		length := int64(reader.BytesRead()) + packed
		switch {
		case packed < 0 || length > end-offset:
			return nil, 0, fmt.Errorf("%w: a page of %d bytes where %d are left; copy or "+
				"download it again", ErrTruncated, packed, end-offset)
		case unpacked < 0 || unpacked > maxPage || unpacked > maxExpansion*(packed+64):
			return nil, 0, fmt.Errorf("%w: a page of %d bytes that unpacks to %d; write the file "+
				"with smaller pages, or unpack it to a folder", ErrTooLarge, packed, unpacked)
		}
		return header, length, nil
	}
}

// ReadAt reads of the chunk as if it had this page alone, behind its dictionary.
func (p *parquetPage) ReadAt(data []byte, offset int64) (int, error) {
	if dictionaryEnd := p.begin + p.dictionary; offset < dictionaryEnd {
		n := min(int64(len(data)), dictionaryEnd-offset)
		read, err := p.file.ReadAt(data[:n], offset)
		if err != nil || read == len(data) {
			return read, err
		}
		more, err := p.ReadAt(data[n:], dictionaryEnd)
		return read + more, err
	} else if offset -= dictionaryEnd; offset >= p.length {
		return 0, io.EOF
	}
	n := min(int64(len(data)), p.length-offset)
	read, err := p.file.ReadAt(data[:n], p.offset+offset)
	if err == nil && read < len(data) {
		err = io.EOF
	}
	return read, err
}

// each calls visit for each value of the page. Values last as long as the call.
func (p *parquetPage) each(visit func(parquet.Value) error) (err error) {
	defer recoverParquet(&err)
	pages := p.chunk.PagesFrom(p)
	defer func() { err = errors.Join(err, pages.Close()) }()
	page, err := pages.ReadPage()
	if err != nil {
		return damagedParquet(err)
	}
	defer parquet.Release(page)
	values := page.Values()
	buffer := make([]parquet.Value, min(p.rows, 1024))
	seen := 0
	for {
		n, err := values.ReadValues(buffer)
		for _, value := range buffer[:n] {
			if seen++; seen > p.rows {
				return fmt.Errorf("%w: a page has more values than it says; copy or download it "+
					"again", ErrCount)
			}
			if err := visit(value); err != nil {
				return err
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return damagedParquet(err)
		}
		if err != nil || n == 0 {
			break
		}
	}
	if seen != p.rows {
		return fmt.Errorf("%w: a page has %d of %d values; copy or download it again", ErrTruncated,
			seen, p.rows)
	}
	return nil
}

// pictures returns the page's pictures, nil where there is none.
func (p *parquetPage) pictures() (pictures [][]byte, held int64, err error) {
	known := make(map[*byte][]byte) // a dictionary's picture may be there many times
	err = p.each(func(value parquet.Value) error {
		data := value.ByteArray()
		if len(data) == 0 {
			pictures = append(pictures, nil)
			return nil
		}
		if len(data) > picture.DefaultMaxBytes {
			return fmt.Errorf("%w: a picture of %d bytes, at most %d are read", ErrTooLarge,
				len(data), picture.DefaultMaxBytes)
		}
		copied := known[&data[0]]
		if len(copied) != len(data) {
			copied = append([]byte(nil), data...)
			known[&data[0]] = copied
			held += int64(len(copied))
		}
		pictures = append(pictures, copied)
		return nil
	})
	return pictures, held, err
}

// recoverParquet makes an error of a panic: the reader is other people's, and a damaged
// file must not end a training.
func recoverParquet(err *error) {
	if cause := recover(); cause != nil {
		*err = damagedParquet(fmt.Errorf("its reader failed: %v", cause))
	}
}

func damagedParquet(err error) error {
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrTruncated) {
		return err
	}
	return fmt.Errorf("%w: a damaged Parquet file; copy or download it again: %w", ErrTruncated,
		err)
}
