package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway/internal/atomicfile"
	"slipway/internal/display"
)

// NoPictureCache is the Options.PictureCache that keeps no decoded pictures on the disk.
const NoPictureCache = "none"

// Files of decoded pictures are called by the first bytes of their key, in hexadecimal, and
// a suffix.
const (
	packSuffix    = ".pictures"
	packNameBytes = 16
)

// errNoPack is of a set whose decoded pictures are not in the cache.
var errNoPack = errors.New("there are no decoded pictures")

// pictureCache is where a set's decoded pictures are, or will be.
type pictureCache struct {
	path string
	key  [sha256.Size]byte
}

// cache names the pack of the pictures as they are kept. The key is of the place, of the
// files' names, sizes and times, of the sizing, and of what this program makes of pictures.
func (t *intake) cache() (pictureCache, error) {
	if t.opts.PictureCache == NoPictureCache {
		return pictureCache{}, errors.New("no cache of pictures is asked for")
	}
	sum := sha256.New()
	sizing := "originals"
	if kept := t.kept(); kept != nil {
		sizing = kept.String()
	}
	place, err := filepath.Abs(t.list.place)
	if err != nil {
		return pictureCache{}, err
	}
	fmt.Fprintf(sum, "%s%q %d %q\n", packMagic, sizing, t.opts.Channels, place)
	for _, file := range t.list.files {
		if file.stamp == "" {
			return pictureCache{}, fmt.Errorf("what tells whether %s has changed is not known",
				file.where)
		}
		fmt.Fprintf(sum, "%q %s\n", file.name, file.stamp)
	}
	dir, err := PictureCacheDir(t.opts)
	if err != nil {
		return pictureCache{}, err
	}
	c := pictureCache{}
	sum.Sum(c.key[:0])
	c.path = filepath.Join(dir, hex.EncodeToString(c.key[:packNameBytes])+packSuffix)
	return c, nil
}

// stampOf is what tells whether a file has changed: its size and its time.
func stampOf(info fs.FileInfo) string {
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}

// PictureCacheDir is the folder of decoded pictures: Options.PictureCache, or pictures
// under slipway in the user's cache folder.
func PictureCacheDir(opts Options) (string, error) {
	if opts.PictureCache != "" {
		return opts.PictureCache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "slipway", "pictures"), nil
}

func (c pictureCache) open(count int) (*pack, error) {
	p, err := openPack(c.path, c.key, count)
	if info, dirErr := os.Stat(filepath.Dir(c.path)); errors.Is(err, fs.ErrNotExist) ||
		dirErr == nil && !info.IsDir() {
		return nil, errNoPack
	}
	if err == nil {
		// The time says which packs are in use.
		now := time.Now()
		_ = os.Chtimes(c.path, now, now)
	}
	return p, err
}

// room reports a disk that the pictures would fill by more than half of what is free.
func (c pictureCache) room(bytes int64) error {
	dir := filepath.Dir(c.path)
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	if free, ok := freeBytes(dir); ok && bytes > free/2 {
		return fmt.Errorf("decoded they take about %s, and %s are free in %s", display.Bytes(bytes),
			display.Bytes(free), dir)
	}
	return nil
}

// write writes the pack, and removes what killed processes have left.
func (c pictureCache) write(write func(io.Writer) error) error {
	dir := filepath.Dir(c.path)
	if entries, err := os.ReadDir(dir); err == nil {
		for _, entry := range entries {
			if name, ok := packOfTemporary(entry.Name()); ok {
				_, _ = atomicfile.RemoveStale(filepath.Join(dir, name), atomicfile.StaleAfter)
			}
		}
	}
	return atomicfile.Write(c.path, write)
}

// packOfTemporary returns the name of the pack that a temporary was to become.
func packOfTemporary(name string) (string, bool) {
	if !atomicfile.IsTemporary(name) {
		return "", false
	}
	before, _, ok := strings.Cut(strings.TrimPrefix(name, "."), packSuffix+".")
	return before + packSuffix, ok && isPackName(before+packSuffix)
}

// isPackName reports names as pictureCache gives them: somebody's own file with that
// suffix is not one.
func isPackName(name string) bool {
	key, ok := strings.CutSuffix(name, packSuffix)
	decoded, err := hex.DecodeString(key)
	return ok && err == nil && len(decoded) == packNameBytes && key == strings.ToLower(key)
}

// CachedPictures is a file of decoded pictures in the cache.
type CachedPictures struct {
	Path  string
	Bytes int64
	Used  time.Time // when a set was last opened with it
	// Leftover is of a file that a process has not finished: it is writing it, or was
	// killed.
	Leftover bool
}

// Unfinished reports a file that some process may still be writing.
func (c CachedPictures) Unfinished() bool {
	return c.Leftover && time.Since(c.Used) < atomicfile.StaleAfter
}

// Remove removes the file. One that was used or written since it was listed stays, which is
// an error; one that is gone already is none. A process that reads the pictures goes on
// reading them where the system lets it.
func (c CachedPictures) Remove() error {
	info, err := os.Lstat(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != c.Bytes || !info.ModTime().Equal(c.Used) {
		return fmt.Errorf("%s was used or changed since it was listed, and stays", c.Path)
	}
	if err := os.Remove(c.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ListPictureCache lists the files of decoded pictures in a folder, what killed processes
// have left of them included, and nothing else that lies there.
func ListPictureCache(dir string) ([]CachedPictures, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []CachedPictures
	for _, entry := range entries {
		_, left := packOfTemporary(entry.Name())
		if !left && !isPackName(entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			path := filepath.Join(dir, entry.Name())
			list = append(list, CachedPictures{path, info.Size(), info.ModTime(), left})
		}
	}
	return list, nil
}
