package dataset

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// OpenTest opens the test set that belongs to a training set: the test part of its
// folder, where that is the training part's, or the one that was published with it.
// It returns nil where there is none.
func OpenTest(ctx context.Context, training *Set, opts Options) (*Set, error) {
	opts.Part, opts.DataDir = Test, ""
	if dir, ok := strings.CutSuffix(training.Place, ":"+string(Train)); ok && !IsWord(training.Place) {
		_, _, idx := findPair(dir, Test)
		_, _, pictures, err := pictureFolder(dir, Test, opts)
		if idx == nil || errors.Is(idx, ErrNoLabels) || err == nil && pictures {
			return Open(ctx, strings.TrimSuffix(training.Name, ":"+string(Train))+":"+string(Test), opts)
		}
	}
	if test, ok, err := openTestNumbers(ctx, training, opts); ok || err != nil {
		return test, err
	}
	if parent := filepath.Dir(training.Place); len(training.Files) > 0 && slices.Contains(partFolders(Train), filepath.Base(training.Place)) {
		if folder, _, ok, err := pictureFolder(parent, Test, opts); err == nil && ok {
			return Open(ctx, filepath.Join(filepath.Dir(training.Name), filepath.Base(folder)), opts)
		}
	}
	if word, ok := TestSetOf(training.Digest()); ok {
		return Open(ctx, word, opts)
	}
	return nil, nil
}

// FolderBeside returns the folder of IDX files in the working folder that is called as
// one of Open's words, which goes before it; it is empty where there is none.
func FolderBeside(word string) string {
	if !IsWord(word) {
		return ""
	}
	if c, _, ok := cifarOfWord(word); ok {
		return c.folderOfWord() // with what is in it, pictures perhaps
	}
	for _, part := range []Part{Train, Test} {
		if _, ok := firstFile(word, imageNames(part)); ok {
			return "./" + word
		}
	}
	return ""
}
