package dataset

import (
	"container/list"
	"errors"
	"sync"
)

// parquetMemory is how many bytes of unpacked pages are kept of a set, beside those in
// use: pictures that are read one behind the other cost their page once.
const parquetMemory = 256 << 20

// errNoBytes is of a row without a picture.
var errNoBytes = errors.New("it has no picture's bytes; a path alone leads to no file of this set")

// pageCache keeps the pages that were read last. It is safe for concurrent use.
type pageCache struct {
	mutex  sync.Mutex
	limit  int64
	held   int64
	pages  map[*parquetPage]*list.Element // of *cachedPage
	recent list.List                      // the last one used in front
}

// cachedPage is a page that is read once, by the first who wants it.
type cachedPage struct {
	page     *parquetPage
	once     sync.Once
	pictures [][]byte
	err      error
	size     int64 // 0 until it counts; under the cache's mutex
}

func newPageCache(limit int64) *pageCache {
	return &pageCache{limit: limit, pages: make(map[*parquetPage]*list.Element)}
}

// value returns a row's picture, not a copy.
func (c *pageCache) value(page *parquetPage, row int) ([]byte, error) {
	entry := c.entry(page)
	entry.once.Do(func() {
		var size int64
		entry.pictures, size, entry.err = page.pictures()
		c.keep(entry, size)
	})
	switch {
	case entry.err != nil:
		return nil, entry.err
	case entry.pictures[row] == nil:
		return nil, errNoBytes
	}
	return entry.pictures[row], nil
}

func (c *pageCache) entry(page *parquetPage) *cachedPage {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if element, ok := c.pages[page]; ok {
		c.recent.MoveToFront(element)
		return element.Value.(*cachedPage)
	}
	entry := &cachedPage{page: page}
	c.pages[page] = c.recent.PushFront(entry)
	return entry
}

// keep counts a page that was read, and drops those used longest ago beyond the limit. A
// page that could not be read is dropped, so that it is tried again.
func (c *pageCache) keep(entry *cachedPage, size int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if element, ok := c.pages[entry.page]; !ok || element.Value != any(entry) {
		return // dropped while it was read
	}
	entry.size = size
	c.held += size
	if entry.err != nil {
		c.drop(entry)
	}
	for c.held > c.limit && c.recent.Len() > 1 {
		c.drop(c.recent.Back().Value.(*cachedPage))
	}
}

// drop forgets a page that is kept.
func (c *pageCache) drop(entry *cachedPage) {
	c.recent.Remove(c.pages[entry.page])
	delete(c.pages, entry.page)
	c.held -= entry.size
}
