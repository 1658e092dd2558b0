package dataset

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// picturePlace is where the encoded pictures of a set were found.
type picturePlace struct {
	list *pictureFiles
	// path is the folder or file, suffix the part of it, ":train", where it has parts.
	path, suffix string
}

// placeFinder finds the pictures at a path if it is of the finder's kind, and returns nil
// if not. The part is the one named behind the path, and empty where none was.
type placeFinder func(path string, part Part, opts Options) (*picturePlace, error)

// findPictures finds the encoded pictures that a path and a part lead to. It returns nil
// where the path is a folder or a file of no kind that holds any.
func findPictures(path string, part Part, opts Options) (*picturePlace, error) {
	finders := []placeFinder{findList, findClassFolders, findShards, findParquet}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		finders = []placeFinder{findListFile, findTarFile, findParquetFile, refuseArchive}
	}
	for _, find := range finders {
		if place, err := find(path, part, opts); place != nil || err != nil {
			return place, err
		}
	}
	return nil, nil
}

// findClassFolders finds a folder with a folder of pictures for each class.
func findClassFolders(dir string, part Part, opts Options) (*picturePlace, error) {
	folder, found, ok, err := pictureFolder(dir, part, opts)
	if err != nil || !ok {
		return nil, err
	}
	list, err := listPictures(folder)
	if err != nil {
		return nil, err
	}
	return &picturePlace{list, dir, suffixOf(found)}, nil
}

// nameParts splits a file's name without its extensions into words: train-00000-of-00002.
func nameParts(path string) []string {
	name, _, _ := strings.Cut(strings.ToLower(filepath.Base(path)), ".")
	return strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == ' ' })
}

// partWord returns the word of a file's name that says which part it is of, as val of
// imagenet-val-000001.tar, and the part. Both are empty where none says it, or two do.
func partWord(path string) (word string, part Part) {
	for _, candidate := range nameParts(path) {
		for _, p := range []Part{Train, Test} {
			if !slices.Contains(partFolders(p), candidate) {
				continue
			}
			if word != "" && word != candidate {
				return "", ""
			}
			word, part = candidate, p
		}
	}
	return word, part
}

// parted groups names by the part that their word says. A part is the names of the first
// word that occurs, in the order of partFolders: test goes before val.
func parted[T any](names []T, word func(T) string) (parts map[Part][]T, rest []T) {
	byWord := make(map[string][]T)
	for _, name := range names {
		byWord[word(name)] = append(byWord[word(name)], name)
	}
	parts = make(map[Part][]T)
	for _, part := range []Part{Train, Test} {
		for _, candidate := range partFolders(part) {
			if group := byWord[candidate]; len(group) > 0 && parts[part] == nil {
				parts[part] = group
				delete(byWord, candidate)
			}
		}
	}
	for _, name := range names {
		if _, left := byWord[word(name)]; left {
			rest = append(rest, name)
		}
	}
	return parts, rest
}

// pathWord is the word of partWord alone, for parted.
func pathWord(path string) string {
	word, _ := partWord(path)
	return word
}

// filesWith lists a folder's regular files whose names satisfy is, links to files
// included, in the order of their names. Hidden ones do not count.
func filesWith(dir string, is func(name string) bool) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if isJunk(entry.Name()) || !is(entry.Name()) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// hasSuffix reports whether a name ends in one of those, in any case.
func hasSuffix(name string, suffixes ...string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

func isArchiveName(name string) bool { return isTarName(name) || isParquetName(name) }

// beginningOf returns the first bytes of a regular file, at most n, none of anything else.
func beginningOf(path string, n int64) []byte {
	f, err := openRegular(path, "a file")
	if err != nil {
		return nil
	}
	defer f.Close()
	begin, _ := io.ReadAll(io.LimitReader(f, n))
	return begin
}

// refuseArchive names archives that are not read.
func refuseArchive(path string, _ Part, _ Options) (*picturePlace, error) {
	begin := beginningOf(path, 32)
	for _, known := range []struct{ prefix, name string }{
		{"PK\x03\x04", "ZIP"}, {"PK\x05\x06", "ZIP"}, {"7z\xbc\xaf\x27\x1c", "7z"}, {"Rar!", "RAR"},
		{"BZh", "bzip2"}, {"\xfd7zXZ\x00", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"},
	} {
		if known.name == "ZIP" && hasSuffix(path, ".npz", ".pt", ".pth") {
			continue // what NumPy and PyTorch write is ZIP, too
		}
		if bytes.HasPrefix(begin, []byte(known.prefix)) {
			return nil, fmt.Errorf("%s: %w: a %s file; unpack it, and give the folder or the .tar",
				path, ErrUnknown, known.name)
		}
	}
	return nil, nil
}
