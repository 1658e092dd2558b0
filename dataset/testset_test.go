package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The test set of a folder's training part is the folder's, where it has one; what lacks
// its labels is told and not passed over.
func TestTheTestSetOfAFolder(t *testing.T) {
	dir := t.TempDir()
	writeLabelled(t, dir, Train, &IDX{Uint8, []int{3}, []byte{0, 1, 1}})
	training, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if test, err := OpenTest(t.Context(), training, Options{}); test != nil || err != nil {
		t.Errorf("a folder without a test part: %v, %v", test, err)
	}
	writeLabelled(t, dir, Test, &IDX{Uint8, []int{2}, []byte{1, 0}})
	// How the training set was found says nothing of where the test set is.
	test, err := OpenTest(t.Context(), training, Options{Part: Train, DataDir: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	if want := dir + ":t10k"; test.Len() != 2 || test.Info().Name != want ||
		test.Info().Place != want {
		t.Errorf("%d images of %s at %s, want 2 of %s", test.Len(), test.Info().Name, test.Info().Place,
			want)
	}
	if none, err := OpenTest(t.Context(), test, Options{}); none != nil || err != nil {
		t.Errorf("the test set of a test set: %v, %v", none, err)
	}
	if err := os.Remove(filepath.Join(dir, "t10k-labels-idx1-ubyte")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTest(t.Context(), training, Options{}); !errors.Is(err, ErrNoLabels) {
		t.Errorf("a test part without labels: %v", err)
	}
}

// A folder that is called as one of the words is found by its path alone, and told of.
func TestAFolderCalledAsAWord(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, folder := range []string{Fashion, "mine"} {
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if beside := FolderBeside(Fashion); beside != "" {
		t.Errorf("an empty folder: %q", beside)
	}
	for _, part := range []Part{Test, Train} { // either part is enough
		writeLabelled(t, Fashion, part, &IDX{Uint8, []int{1}, []byte{0}})
		if beside := FolderBeside(Fashion); beside != "./"+Fashion {
			t.Errorf("a folder of that name with %s: %q", part, beside)
		}
	}
	writeLabelled(t, "mine", Train, &IDX{Uint8, []int{1}, []byte{0}})
	if beside := FolderBeside("mine"); beside != "" {
		t.Errorf("mine is no word, but %q is beside it", beside)
	}
}
