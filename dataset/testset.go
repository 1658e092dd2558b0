package dataset

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
)

// OpenTest opens the test set that belongs to a training set, as OpenSource does: the test
// part of its folder, where that is the training part's, or the one that was published
// with it. It returns nil where there is none.
func OpenTest(ctx context.Context, training Source, opts Options) (Source, error) {
	opts.Part, opts.DataDir = Test, ""
	opts.MultiLabel = opts.MultiLabel || isMultiLabel(training)
	test, err := openTest(ctx, training, opts)
	if test == nil || err != nil {
		return nil, err
	}
	return test, mustBeSeveral(test, opts)
}

func openTest(ctx context.Context, training Source, opts Options) (Source, error) {
	info := training.Info()
	if test, ok, err := openTestNumbers(ctx, training, opts); ok || err != nil {
		return test, err
	}
	if dir, ok := strings.CutSuffix(info.Place, ":"+string(Train)); ok && !IsWord(info.Place) {
		_, _, idx := findPair(dir, Test)
		name := strings.TrimSuffix(info.Name, ":"+string(Train))
		if idx == nil || errors.Is(idx, ErrNoLabels) {
			return OpenSource(ctx, name+":"+string(Test), opts)
		}
		if set, err := openPlace(ctx, name, Test, opts, false); set != nil || err != nil &&
			!errors.Is(err, ErrUnknown) {
			return set, err
		}
	}
	if parent := filepath.Dir(info.Place); len(FileNames(training)) > 0 &&
		isFolderOf(Train, filepath.Base(info.Place)) {
		if folder, _, ok, err := pictureFolder(parent, Test, opts); err == nil && ok {
			return OpenSource(ctx, filepath.Join(filepath.Dir(filepath.Clean(info.Name)),
				filepath.Base(folder)), opts)
		}
	}
	if beside := testFileBeside(info.Place); len(FileNames(training)) > 0 && beside != "" {
		return OpenSource(ctx, filepath.Join(filepath.Dir(filepath.Clean(info.Name)),
			filepath.Base(beside)), opts)
	}
	if word, ok := TestSetOf(info.SHA256); ok {
		return OpenSource(ctx, word, opts)
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
