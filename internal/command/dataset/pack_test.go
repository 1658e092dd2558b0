package dataset

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/cli/clitest"
)

func TestPack(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "own")
	writeFolder(t, own, "train", 3)
	tar, folder := filepath.Join(dir, "own.tar"), filepath.Join(dir, "again")
	for _, test := range []struct {
		args string
		code int
		want string // in stdout, or in stderr where it fails
	}{
		{"pack", 2, "which set?"},
		{"pack " + own, 2, "where to?"},
		{"pack -o x.tar a b", 2, "one set is packed at a time"},
		{"pack -o x " + own, 2, "say -format idx"},
		{"pack -o x -format tar " + own, 2, "ends in .tar"},
		{"pack -o x.tar -format idx " + own, 2, "go into a folder"},
		{"pack -o x.tar -format zip " + own, 2, "-format"},
		{"pack -o x.tar -fit pad " + own, 2, "give a -resize"},
		{"pack -x", 2, "unknown flag -x"},
		{"pack -o " + filepath.Join(dir, "none.tar") + " " + own + "x", 1, "unknown data set"},
		{"pack -o " + tar + " " + own, 0, "3 images of 3 classes: " + tar},
		{"pack -o " + tar + " " + own, 1, "remove it, or give another name"},
		{"pack " + tar + " -format idx -o " + folder, 0, "3 images of 3 classes: " + folder},
		{"pack -h", 0, "Examples:"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(test.args), &stdout, &stderr)
		if said := stdout.String() + stderr.String(); code != test.code ||
			!strings.Contains(said, test.want) {
			t.Errorf("%s: exit code %d, %q", test.args, code, said)
		}
	}
	var sets []*dataset.Set
	for _, spec := range []string{own, tar, folder} {
		set, err := dataset.Open(t.Context(), spec, dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	for _, set := range sets[1:] {
		if !bytes.Equal(set.Images, sets[0].Images) || !slices.Equal(set.Labels, sets[0].Labels) {
			t.Errorf("%s: other images or labels", set.Name)
		}
	}
	if _, err := os.Stat("x.tar"); err == nil {
		t.Error("a refused command wrote a file")
	}
}

// The examples of the help are command lines that the command takes.
func TestPackExamples(t *testing.T) {
	clitest.CheckExamples(t, "dataset pack", func(args []string, stdout io.Writer) error {
		_, err := parsePack(args, stdout)
		return err
	})
}
