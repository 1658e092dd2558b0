package dataset

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/dataset"
	"slipway/dataset/picture"
	"slipway/internal/cli/clitest"
)

// cached runs dataset cache, and returns what it printed.
func cached(t *testing.T, args ...string) (code int, printed string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"cache"}, args...), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

// fill decodes a set of pictures into the folder, and returns the file.
func fill(t *testing.T, dir string) string {
	t.Helper()
	before, err := dataset.ListPictureCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dataset.OpenSource(t.Context(), ownSet(t)+":train", dataset.Options{
		Sizing: &picture.Sizing{Height: 4, Width: 4}, Memory: 1, PictureCache: dir})
	if err != nil {
		t.Fatal(err)
	}
	after, err := dataset.ListPictureCache(dir)
	if err != nil || len(after) != len(before)+1 {
		t.Fatalf("%d files, %v", len(after), err)
	}
	for _, file := range after {
		if len(before) == 0 || file.Path != before[0].Path {
			return file.Path
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// setAge sets when the file was used.
func setAge(t *testing.T, path string, age time.Duration) {
	t.Helper()
	then := time.Now().Add(-age)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

// The cache's files are listed and removed by age, and nothing else is.
func TestCache(t *testing.T) {
	const day = 24 * time.Hour
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	dir, err := dataset.PictureCacheDir(dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if code, printed := cached(t); code != 0 || printed != "no decoded pictures in "+dir+"\n" {
		t.Errorf("exit code %d, %q", code, printed)
	}
	old, used := fill(t, dir), fill(t, dir)
	setAge(t, old, 40*day)
	content, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "."+filepath.Base(old)+".0123456789abcdef.atomic-tmp")
	written := filepath.Join(dir, "."+filepath.Base(used)+".0123456789abcdef.atomic-tmp")
	others := []string{"holiday.pictures", strings.ToUpper(filepath.Base(old)[:32]) + ".pictures",
		"notes.txt",
		filepath.Base(old) + ".bak", ".holiday.pictures.0123456789abcdef.atomic-tmp",
		"x.atomic-tmp"}
	for _, path := range append([]string{left, written}, others...) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		writeFile(t, path, content)
		setAge(t, path, 50*day)
	}
	setAge(t, written, time.Minute)
	link := filepath.Join(dir, "00112233445566778899aabbccddeeff.pictures")
	if err := os.Symlink(filepath.Join(dir, "notes.txt"), link); err != nil {
		t.Skip("links cannot be made here:", err)
	}

	code, printed := cached(t)
	if code != 0 || strings.Count(printed, "\n") != 5 || !strings.Contains(printed,
		"  in 4 files in "+dir+"\n") {
		t.Errorf("exit code %d\n%s", code, printed)
	}
	for _, path := range []string{old, used, left, written} {
		if !strings.Contains(printed, "  "+path+"\n") {
			t.Errorf("%s is not in\n%s", path, printed)
		}
	}
	if code, printed := cached(t, "-older", "45d"); code != 0 ||
		strings.Contains(printed, old) || !strings.Contains(printed, left) ||
		!strings.Contains(printed, "in 1 file in") {
		t.Errorf("-older 45d: exit code %d\n%s", code, printed)
	}
	if code, printed := cached(t, "-older", "20w"); code != 0 || !strings.Contains(printed,
		"that were not used for 20w in "+dir) {
		t.Errorf("-older 20w: exit code %d\n%s", code, printed)
	}
	if code, printed := cached(t, "-clear", "-older",
		"30d"); code != 0 || !strings.Contains(printed, " freed: 2 files removed in "+dir+"\n") {
		t.Errorf("-clear -older 30d: exit code %d\n%s", code, printed)
	}
	if exists(old) || exists(left) || !exists(used) || !exists(written) {
		t.Error("other files were removed than the old ones")
	}
	code, printed = cached(t, "-clear")
	if code != 0 || !strings.Contains(printed,
		" freed: 1 file removed in ") || !strings.Contains(printed, "kept "+written+": ") {
		t.Errorf("-clear: exit code %d\n%s", code, printed)
	}
	if exists(used) || !exists(written) {
		t.Error("-clear keeps what is being written, and nothing else")
	}
	for _, name := range append(others, filepath.Base(link)) {
		if !exists(filepath.Join(dir, name)) {
			t.Errorf("%s was removed", name)
		}
	}
}

// Another folder is named as train names it.
func TestCacheElsewhere(t *testing.T) {
	dir := t.TempDir()
	path := fill(t, dir)
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"-picture-cache " + dir, 0, path},
		{"-picture-cache " + filepath.Join(dir, "none"), 1, "no such file"},
		{"-picture-cache " + path, 1, "not a directory"},
		{"-picture-cache=", 2, "-picture-cache is empty"},
		{"-picture-cache none", 2, "keeps no files"},
		{"-older 30", 2, "12h, 30d or 4w"},
		{"-older=", 2, "12h, 30d or 4w"},
		{"-claer", 2, "did you mean -clear"},
		{"now", 2, `unexpected argument "now"`},
		{"-h", 0, "Examples:"},
		{"-clear -picture-cache " + dir, 0, "1 file removed"},
	} {
		if code, printed := cached(t, strings.Fields(test.args)...); code != test.code ||
			!strings.Contains(printed, test.want) {
			t.Errorf("%s: exit code %d, %q", test.args, code, printed)
		}
	}
}

// The examples of the help are command lines that the command takes.
func TestCacheExamples(t *testing.T) {
	clitest.CheckExamples(t, "dataset cache", func(args []string, stdout io.Writer) error {
		_, err := parseCache(args, stdout)
		return err
	})
}

// Shells offer the command and its flags.
func TestCacheCompletes(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"c", "cache\n"}, {"cache -o", "-older\t"}, {"cache -picture-cache /t", ":folders\n"},
	} {
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(test.line), "__complete")
		if code := run(t.Context(), args, &stdout,
			&stderr); code != 0 || !strings.Contains(stdout.String(), test.want) {
			t.Errorf("%s: exit code %d, %q, %q", test.line, code, stdout.String(), stderr.String())
		}
	}
}
