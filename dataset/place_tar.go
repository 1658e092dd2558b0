package dataset

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

func isTarName(name string) bool { return hasSuffix(name, ".tar", ".tar.gz", ".tgz") }

// isTar tells a tar archive, plain or compressed by gzip, by its first bytes or its name.
func isTar(file string) bool {
	begin := beginningOf(file, 1<<16)
	if bytes.HasPrefix(begin, []byte{0x1f, 0x8b}) {
		if isTarName(file) {
			return true
		}
		z, err := gzip.NewReader(bytes.NewReader(begin))
		if err != nil {
			return false
		}
		begin, _ = io.ReadAll(io.LimitReader(z, 512)) // cut off, so its end is an error
	}
	return hasSuffix(file, ".tar") || len(begin) > 262 && string(begin[257:262]) == "ustar"
}

// findTarFile finds the pictures in a tar archive.
func findTarFile(file string, part Part, opts Options) (*picturePlace, error) {
	if !isTar(file) || holdsCIFAR(file) {
		return nil, nil
	}
	return openTars(file, []string{file}, false, part, opts)
}

// findShards finds the pictures in a folder's tar archives, in the order of their names:
// all of them, or those of a part, as train-000000.tar.
func findShards(dir string, part Part, opts Options) (*picturePlace, error) {
	files, err := filesWith(dir, isTarName)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	parts, rest := parted(files, pathWord)
	if len(parts) == 0 {
		return openTars(dir, files, true, part, opts)
	}
	has := func(p Part) bool { return len(parts[p]) > 0 }
	if part, err = choosePart(dir, part, opts, has); err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		opts.say("%s: not of a part, and not taken: %s", dir, strings.Join(bases(rest), ", "))
	}
	place, err := openTars(dir, parts[part], true, "", opts)
	if place != nil {
		place.suffix = suffixOf(part)
	}
	return place, err
}

// openTars lists the pictures of archives that are one set.
func openTars(place string, paths []string, several bool, part Part, opts Options,
) (*picturePlace, error) {
	budget := int64(maxUnpacked)
	var files []inTar
	for _, file := range paths {
		archive, err := indexTar(file, &budget)
		if err != nil {
			return nil, err
		}
		for _, member := range archive.members {
			files = append(files, inTar{archive, member, member.name})
		}
	}
	files, part, err := within(place, files, part, opts)
	if err != nil {
		return nil, err
	}
	list, err := listSamples(place, files, several, opts)
	if err == nil && list == nil {
		list, err = listTarFolders(place, files, several)
	}
	if err != nil {
		return nil, err
	}
	if err := list.notesInTar(files, opts); err != nil {
		return nil, err
	}
	if several {
		if err := list.withNamesIn(place, opts); err != nil {
			return nil, err
		}
	}
	return &picturePlace{list, place, suffixOf(part)}, nil
}

// within takes off the folders that all pictures lie in, and chooses the part where their
// outermost folders are parts.
func within(place string, files []inTar, part Part, opts Options) ([]inTar, Part, error) {
	tops, pictures := make(map[string]bool), 0
	for {
		clear(tops)
		pictures = 0
		shallow := false
		for _, file := range files {
			if base := path.Base(file.within); isPictureName(base) && !isJunk(base) {
				top, rest, deep := strings.Cut(file.within, "/")
				shallow = shallow || !deep || !strings.Contains(rest, "/")
				tops[top] = true
				pictures++
			}
		}
		top := onlyKey(tops)
		if shallow || top == "" || isPartFolder(top) {
			break
		}
		for i, file := range files {
			files[i].within = strings.TrimPrefix(file.within, top+"/")
		}
	}
	if pictures == 0 {
		return nil, "", fmt.Errorf("%s: %w: no file in it is called as a picture; unpack it if "+
			"it holds another set", place, ErrEmpty)
	}
	parts, others := parted(slices.Sorted(maps.Keys(tops)), strings.ToLower)
	if len(parts) == 0 || !allParts(others) {
		if part != "" {
			return nil, "", fmt.Errorf("%s: %w: it has no part %s", place, ErrUnknown, part)
		}
		return files, "", nil
	}
	part, err := choosePart(place, part, opts, func(p Part) bool { return len(parts[p]) > 0 })
	if err != nil {
		return nil, "", err
	}
	chosen := parts[part][0]
	if both := parts[part]; len(both) > 1 {
		return nil, "", fmt.Errorf("%s: %w: %s and %s are both its part %s; rename one of them",
			place, ErrAmbiguous, both[0], both[1], part)
	}
	var taken []inTar
	for _, file := range files {
		rest, in := strings.CutPrefix(file.within, chosen+"/")
		if dir := path.Dir(file.within); in || dir == "." || isMeta(dir) {
			if in {
				file.within = rest
			}
			taken = append(taken, file)
		}
	}
	return taken, part, nil
}

func allParts(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !isPartFolder(name) })
}

// onlyKey returns the key of a set of one, "" of others.
func onlyKey(set map[string]bool) string {
	for key := range set {
		if len(set) == 1 {
			return key
		}
	}
	return ""
}

// testFileBeside returns the file of the test part that lies beside a training part's:
// test.csv beside train.csv. It is empty where there is none.
func testFileBeside(training string) string {
	word, part := partWord(training)
	if part != Train {
		return ""
	}
	dir, base := filepath.Split(training)
	i := strings.Index(strings.ToLower(base), word)
	var names []string
	for _, other := range partFolders(Test) {
		names = append(names, base[:i]+other+base[i+len(word):])
	}
	found, _ := firstFile(filepath.Clean(dir), names)
	return found
}
