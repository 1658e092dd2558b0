package dataset

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/nearest"
)

// imageNames are the usual names of a part's images file, the plain one first.
func imageNames(part Part) []string {
	var names []string
	for _, rank := range []string{"idx3", "idx4"} { // N×H×W, and N×C×H×W
		dash, dot := string(part)+"-images-"+rank+"-ubyte", string(part)+"-images."+rank+"-ubyte"
		names = append(names, dash, dash+".gz", dot, dot+".gz")
	}
	return names
}

// labelNames are the names of the labels that belong to an images file, none
// when its name has no "images" in it.
func labelNames(images string) []string {
	base := filepath.Base(images)
	i := strings.LastIndex(base, "images")
	if i < 0 {
		return nil
	}
	base = base[:i] + "labels" + base[i+len("images"):]
	base = strings.NewReplacer("idx3", "idx1", "idx4", "idx1").Replace(base)
	if plain, ok := strings.CutSuffix(base, ".gz"); ok {
		return []string{base, plain}
	}
	return []string{base, base + ".gz"}
}

// findPair finds a part's two files in a folder.
func findPair(dir string, part Part) (images, labels string, err error) {
	names := imageNames(part)
	images, ok := firstFile(dir, names)
	if !ok {
		return "", "", fmt.Errorf("%w: the folder %s has no %s, plain or .gz%s", ErrUnknown, dir,
			names[0], nearest.Hint(names[0], entries(dir)))
	}
	candidates := labelNames(images)
	labels, ok = firstFile(dir, candidates)
	if !ok {
		return "", "", fmt.Errorf("%s: %w: put %s beside it", images, ErrNoLabels, candidates[0])
	}
	return images, labels, nil
}

// firstFile returns the path of the first of the names that is a file.
func firstFile(dir string, names []string) (string, bool) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, true
		}
	}
	return "", false
}

// names lists the words that name a set.
func names() []string {
	words := append([]string{string(Test), string(Train), fashionTrain, FashionTest},
		FetchedNames()...)
	for _, c := range cifars() {
		words = append(words, c.word+suffixOf(Train), c.word+suffixOf(Test))
	}
	return words
}

// classesOf is how many classes the set of a word has.
func classesOf(word string) int {
	if c, _, ok := cifarOfWord(word); ok {
		return c.classes
	}
	return mnistClasses
}

// IsWord reports whether Open takes the name for a set of its own, before any file or
// folder that is called so.
func IsWord(name string) bool { return slices.Contains(names(), name) }

func unknown(spec string) error {
	files := entries(filepath.Dir(spec))
	if filepath.Dir(spec) == "." {
		files = append(files, names()...)
	}
	return fmt.Errorf(
		"%w %q; give t10k, train, optdigits, fashion, cifar10, cifar100 (or fashion:train …), a folder "+
			"of pictures, of a list and pictures, of IDX or .npy files or of CIFAR's binary version (with :train or :test when it holds both), "+
			"or a file: IDX, .npy, .npz, .csv, .tar, .parquet%s",
		ErrUnknown, spec, cmp.Or(partHint(spec), nearest.Hint(filepath.Base(spec), files)))
}

// entries lists a folder, as far as it can be read.
func entries(dir string) []string {
	list, _ := os.ReadDir(dir)
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}
