package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// nameFinder finds the files that a list names: in the list's folder, or in a folder in
// it, with the extension of a picture or without.
type nameFinder struct {
	dir string
	// first is looked into before all: the folder called as the part that the list is of.
	first   string
	folders []string // the list's own, and those in it
	// listings has what is in folders that were looked into, by path.
	listings map[string]*listing
}

// listing is what is in a folder.
type listing struct {
	names map[string]bool
	// pictures has the names that a name without its extension may mean.
	pictures map[string][]string
}

func newNameFinder(list string) *nameFinder {
	f := &nameFinder{dir: filepath.Dir(list), listings: make(map[string]*listing)}
	f.folders = []string{f.dir}
	inner, _ := subfolders(f.dir) // a folder that cannot be read has no pictures
	for _, name := range inner {
		f.folders = append(f.folders, filepath.Join(f.dir, name))
	}
	word, part := partWord(list)
	for _, name := range append([]string{word}, partFolders(part)...) {
		is := func(folder string) bool { return strings.EqualFold(folder, name) }
		if i := slices.IndexFunc(inner, is); word != "" && f.first == "" && i >= 0 {
			f.first = filepath.Join(f.dir, inner[i])
		}
	}
	return f
}

// find returns the path of the file of that name, with slashes. A name that is in two
// folders is ErrAmbiguous.
func (f *nameFinder) find(name string) (string, error) {
	var found []string
	for _, folder := range f.folders {
		path, err := f.in(folder, name)
		if err != nil {
			return "", err
		}
		switch {
		case path == "":
		case folder == f.first:
			return path, nil
		default:
			found = append(found, path)
		}
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("there is no file %s: %w", name, os.ErrNotExist)
	case len(found) > 1 && filepath.Dir(found[0]) != f.dir:
		return "", fmt.Errorf("%w: %s may be %s or %s; write the folder before the name",
			ErrAmbiguous, name, found[0], found[1])
	}
	return found[0], nil
}

// in returns the path of the file of that name in a folder, "" if there is none.
func (f *nameFinder) in(folder, name string) (string, error) {
	path := filepath.Join(folder, filepath.FromSlash(name))
	base := filepath.Base(path)
	listing := f.listing(filepath.Dir(path))
	if listing.names[base] {
		return path, nil
	}
	switch candidates := listing.pictures[base]; len(candidates) {
	case 0:
		return "", nil
	case 1:
		return filepath.Join(filepath.Dir(path), candidates[0]), nil
	default:
		return "", fmt.Errorf("%w: %s may be %s or %s; write the extension behind the name",
			ErrAmbiguous, name, candidates[0], candidates[1])
	}
}

// listing reads a folder once.
func (f *nameFinder) listing(dir string) *listing {
	if known := f.listings[dir]; known != nil {
		return known
	}
	l := &listing{make(map[string]bool), make(map[string][]string)}
	f.listings[dir] = l
	list, _ := os.ReadDir(dir)
	for _, entry := range list {
		name := entry.Name()
		if isJunk(name) || leadsToFolder(filepath.Join(dir, name), entry) {
			continue
		}
		l.names[name] = true
		if isPictureName(name) {
			stem := strings.TrimSuffix(name, filepath.Ext(name))
			l.pictures[stem] = append(l.pictures[stem], name)
		}
	}
	return l
}

// unnamed counts the pictures in the folders of named files that are not among them.
func (f *nameFinder) unnamed(named map[string]int) int {
	dirs := make(map[string]bool)
	for path := range named {
		dirs[filepath.Dir(path)] = true
	}
	n := 0
	for dir := range dirs {
		if f.listings[dir] == nil {
			continue
		}
		for _, names := range f.listings[dir].pictures {
			for _, name := range names {
				if _, ok := named[filepath.Join(dir, name)]; !ok {
					n++
				}
			}
		}
	}
	return n
}
