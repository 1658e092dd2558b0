package dataset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// openFile opens a file, which its first bytes tell, and not its name.
func openFile(ctx context.Context, file string, part Part, opts Options) (*Set, error) {
	start := startOf(file, tableStart)
	switch {
	case isZip(start):
		return openNPZ(file, part, opts)
	case isTar(file):
		return openCIFARArchive(ctx, file, part, opts)
	}
	if err := noParts(file, part); err != nil {
		return nil, err
	}
	switch {
	case isNPY(start):
		return openNPY(file, opts)
	case isTable(start):
		return openTable(ctx, file, opts)
	case isTableName(file):
		return nil, notTable(file, start)
	}
	return openIDXFile(file, opts)
}

// openNumbers opens a folder of .npy files or of CIFAR's records. ok is false where it
// is of neither kind; the error is for those that are.
func openNumbers(dir string, part Part, opts Options) (ok bool, set *Set, err error) {
	if arrayFolder(dir).any() {
		set, err = openArrayFolder(dir, part, opts)
		return true, set, err
	}
	if _, _, found := cifarFolder(dir); !found && !holdsPythonCIFAR(dir) {
		return false, nil, nil
	}
	set, err = openCIFARFolder(dir, part, opts)
	return true, set, err
}

// openTestNumbers opens the test set that belongs to a training set of this file's kinds:
// the other part of its folder or file, or the file beside it that is called test where
// its own is called train. ok is false where there is none.
func openTestNumbers(ctx context.Context, training Source, opts Options) (
	test Source, ok bool, err error,
) {
	info := training.Info()
	if c, part, ok := cifarOfWord(info.Place); ok {
		if part != Train {
			return nil, false, nil
		}
		test, err = OpenSource(ctx, c.word+suffixOf(Test), opts)
		return test, true, err
	}
	place, parted := strings.CutSuffix(info.Place, suffixOf(Train))
	if parted && !IsWord(info.Place) {
		if info, err := os.Stat(place); err != nil || info.IsDir() && !holdsNumbers(place, Test) {
			return nil, false, nil
		}
		name := strings.TrimSuffix(info.Name, suffixOf(Train)) + suffixOf(Test)
		test, err = OpenSource(ctx, name, opts)
		if missingPart(err) {
			return nil, false, nil
		}
		return test, true, err
	}
	beside, ok := testNumbersBeside(info.Place)
	if !ok || !filepath.IsAbs(info.Place) { // a word is no file
		return nil, false, nil
	}
	test, err = OpenSource(ctx, filepath.Join(filepath.Dir(info.Name), beside), opts)
	if errors.Is(err, errUnlabelled) {
		opts.say("note: %s has no labels, so that nothing can be tested on it", beside)
		return nil, false, nil
	}
	return test, true, err
}

// setsIn names the first file of a folder that is a set by itself, for an error about the
// folder: one called train where there is one.
func setsIn(dir string) string {
	var files []string
	for _, name := range entries(dir) {
		if isTableName(name) || isTarName(name) || strings.HasSuffix(strings.ToLower(name), ".npz") {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		return ""
	}
	first := max(0, slices.IndexFunc(files, func(name string) bool {
		return strings.Contains(strings.ToLower(name), "train")
	}))
	return "; a file in it may be a set: give " + filepath.Join(dir, files[first])
}

// holdsNumbers reports whether a folder of .npy files or of CIFAR's records has a part.
func holdsNumbers(dir string, part Part) bool {
	if place := arrayFolder(dir); place.any() {
		return place.has(part)
	}
	c, inner, ok := cifarFolder(dir)
	return ok && c.holdsPart(inner, part)
}

// testNumbersBeside returns the name of the file of numbers that is called as the training
// file is, but for test in place of its last train. Either may be packed.
func testNumbersBeside(training string) (name string, ok bool) {
	dir, base := filepath.Split(training)
	for _, words := range [][2]string{{"train", "test"}, {"Train", "Test"}, {"TRAIN", "TEST"}} {
		i := strings.LastIndex(base, words[0])
		if i < 0 {
			continue
		}
		rest := base[i+len(words[0]):]
		beside := base[:i] + words[1] + strings.TrimPrefix(rest, "ing")
		for _, name := range []string{beside, beside + ".gz", strings.TrimSuffix(beside, ".gz")} {
			start := startOf(filepath.Join(dir, name), tableStart)
			if isNPY(start) || isZip(start) || isTable(start) {
				return name, true
			}
		}
	}
	return "", false
}
