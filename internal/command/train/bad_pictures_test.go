//go:build unix

package train

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/internal/cli"
)

// runBounded runs the command, which must end within a minute whatever it is given.
func runBounded(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	type ending struct {
		code           int
		stdout, stderr string
	}
	ended := make(chan ending, 1)
	go func() {
		var out, errs bytes.Buffer
		code := run(t.Context(), args, &out, &errs, nil)
		ended <- ending{code, out.String(), errs.String()}
	}()
	select {
	case e := <-ended:
		return e.code, e.stdout, e.stderr
	case <-time.After(time.Minute):
		t.Fatal("the command does not end")
		return 0, "", ""
	}
}

// bombPNG is a small file that says it is a picture of that size.
func bombPNG(t *testing.T, height, width uint32) []byte {
	t.Helper()
	var pixels bytes.Buffer
	writer := zlib.NewWriter(&pixels)
	if _, err := writer.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	file := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		file = binary.BigEndian.AppendUint32(file, uint32(len(data)))
		body := append([]byte(kind), data...)
		file = binary.BigEndian.AppendUint32(append(file, body...), crc32.ChecksumIEEE(body))
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	chunk("IHDR", append(header, 8, 2, 0, 0, 0))
	chunk("IDAT", pixels.Bytes())
	chunk("IEND", nil)
	return file
}

// Whatever is wrong with pictures or with what is asked of them, the command ends with a
// line that says which file or flag it is and what to do, and begins no run.
func TestBadPictures(t *testing.T) {
	type setting struct {
		name   string
		change func(t *testing.T, own string)
		args   []string
		code   int
		says   []string
	}
	remove := func(names ...string) func(*testing.T, string) {
		return func(t *testing.T, own string) {
			for _, name := range names {
				if err := os.RemoveAll(filepath.Join(own, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	put := func(name string, content []byte) func(*testing.T, string) {
		return func(t *testing.T, own string) { writeFile(t, filepath.Join(own, name), content) }
	}
	unreadable := func(name string) func(*testing.T, string) {
		return func(t *testing.T, own string) {
			if os.Geteuid() == 0 {
				t.Skip("root may read everything")
			}
			path := filepath.Join(own, name)
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(path, 0o777) })
		}
	}
	link := func(target, name string) func(*testing.T, string) {
		return func(t *testing.T, own string) {
			if err := os.Symlink(target, filepath.Join(own, name)); err != nil {
				t.Skip("no links here:", err)
			}
		}
	}
	half := func(t *testing.T, own string) {
		paths, err := filepath.Glob(filepath.Join(own, "*", "*.png"))
		if err != nil || len(paths) == 0 {
			t.Fatal(paths, err)
		}
		for _, path := range paths {
			writeFile(t, path, read(t, path)[:100])
		}
	}
	for _, test := range []setting{
		{"an empty class", func(t *testing.T, own string) {
			if err := os.Mkdir(filepath.Join(own, "dog"), 0o777); err != nil {
				t.Fatal(err)
			}
		}, nil, 1, []string{"the class dog has no pictures; put some into the folder, or remove it"}},
		{"one class", remove("bee", "cat"), nil, 1, []string{"are all of one class", "at least 2"}},
		{"too many classes", func(t *testing.T, own string) {
			writePicture(t, filepath.Join(own, "dog", "1.png"), 9, 9, 1)
		}, nil, 1, []string{"has 3 logits", "has 4 classes", "-network names a file"}},
		{"an unreadable file", unreadable("ant/0.png"), nil, 1, []string{"ant/0.png", "permission denied",
			"-skip-damaged leaves it out"}},
		{"an unreadable class", unreadable("ant"), nil, 1, []string{"ant", "permission denied"}},
		{"a dead link", link("nowhere", "ant/x.png"), nil, 1,
			[]string{"ant/x.png is a link that leads nowhere; remove it", "-skip-damaged"}},
		{"a link back", link("..", "ant/up"), nil, 1, []string{"ant/up: the link leads back to ",
			"remove it"}},
		{"a FIFO", func(t *testing.T, own string) {
			if err := syscall.Mkfifo(filepath.Join(own, "ant", "pipe.png"), 0o666); err != nil {
				t.Skip("no named pipes here:", err)
			}
		}, nil, 1, []string{"ant/pipe.png: it is no ordinary file (p", "-skip-damaged leaves it out"}},
		{"a device", link("/dev/zero", "ant/zero.png"), nil, 1,
			[]string{"ant/zero.png: it is no ordinary file (Dc", "-skip-damaged leaves it out"}},
		{"a bomb", put("ant/bomb.png", bombPNG(t, 50_000, 50_000)), nil, 1,
			[]string{"ant/bomb.png: PNG: 50000×50000 pixels", "-skip-damaged leaves it out"}},
		{"a smaller bomb", put("ant/bomb.png", bombPNG(t, 9_000, 9_000)), nil, 1,
			[]string{"ant/bomb.png: PNG: ", "cannot hold 9000×9000 pixels"}},
		{"all damaged", half, nil, 1,
			[]string{"ant/0.png: PNG: ", "and 44 more of 45 files; -skip-damaged leaves them out"}},
		{"all damaged and left out", half, []string{"-skip-damaged"}, 1,
			[]string{"none of its 45 files could be read"}},
		{"labels without pictures",
			put("labels.csv", []byte("filename,label\nant/0.png,1\nant/nothing.png,0\n")),
			[]string{"-data", "LIST"}, 1, []string{"labels.csv", "ant/nothing.png"}},
		{"a file and a class", put("dog", []byte("no folder")), []string{"-data", "FILE"}, 1,
			[]string{"dog: not an IDX file", "-data: "}},
		{"no sizes", nil, []string{"-resize", ""}, 2,
			[]string{"-resize is empty; give 224, or HEIGHTxWIDTH"}},
		{"too large", nil, []string{"-resize", "65536"}, 2,
			[]string{"-resize 65536: ", "pixels at most are made"}},
		{"another size", nil, []string{"-resize", "9"}, 1,
			[]string{"network own takes 3×8×8, and -resize makes images of 9×9", "say -resize 8x8"}},
		{"no memory", nil, []string{"-memory", "0"}, 2,
			[]string{`-memory: "0" is no size in bytes, such as 500MB or 2GB`}},
		{"less than none", nil, []string{"-memory", "-1"}, 2, []string{`"-1" is no size in bytes`}},
		{"no number", nil, []string{"-memory", "NaN"}, 2, []string{`"NaN" is no size in bytes`}},
		{"beyond measure", nil, []string{"-memory", "1e400"}, 2, []string{`"1e400" is no size in bytes`}},
		{"a test set with another class", func(t *testing.T, own string) {
			writePicture(t, filepath.Join(own, "..", "tests", "dog", "1.png"), 9, 9, 1)
		}, []string{"-test", "TESTS"}, 1, []string{`there is no class "dog"`,
			"give pictures to train on, too, or take the folder out of the test set"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := pictureFixture(t)
			if test.change != nil {
				test.change(t, filepath.Join(dir, "own"))
			}
			args := pictureArguments(dir, "-epochs", "1", "-picture-cache", filepath.Join(dir, "cache"))
			replace := strings.NewReplacer("LIST", dir+"/own/labels.csv", "FILE", dir+"/own/dog", "TESTS",
				dir+"/tests")
			for _, arg := range test.args {
				args = append(args, replace.Replace(arg))
			}
			code, out, errs := runBounded(t, args...)
			if code != test.code {
				t.Errorf("exit %d, want %d: %s%s", code, test.code, out, errs)
			}
			for _, want := range test.says {
				if !strings.Contains(errs, want) {
					t.Errorf("the message lacks %q: %s", want, errs)
				}
			}
			for _, left := range []string{"runs", "cache"} {
				if _, err := os.Stat(filepath.Join(dir, left)); err == nil {
					t.Errorf("%s was begun", left)
				}
			}
		})
	}
}

// Pictures of other sizes need -resize, also where parts of them are taken.
func TestMixedSizesNeedASize(t *testing.T) {
	dir := pictureFixture(t)
	code, _, errs := runBounded(t, "-data", dir+"/own", "-network", dir+"/own.json", "-runs",
		dir+"/runs", "-augment", "random-resized-crop")
	if code != 1 || !strings.Contains(errs, "sizes disagree: ") ||
		!strings.Contains(errs, "give them one size with -resize") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// What is odd, and no picture of its class' usual kind, trains; what is damaged is left
// out and named, with any memory.
func TestOddPicturesTrain(t *testing.T) {
	dir := pictureFixture(t)
	own := filepath.Join(dir, "own")
	writePicture(t, filepath.Join(own, "ant", "dot.png"), 1, 1, 1)
	writePicture(t, filepath.Join(own, "bee", "tall.png"), 30_000, 1, 2)
	writePicture(t, filepath.Join(own, "cat", "a\nwide picture ü.png"), 1, 30_000, 3)
	writeFile(t, filepath.Join(own, "ant", "bomb.png"), bombPNG(t, 50_000, 50_000))
	writeFile(t, filepath.Join(own, "ant", "text.png"), []byte("no picture"))
	writeFile(t, filepath.Join(own, "train"), nil) // a file where a part could be
	var want outcome
	for i, more := range [][]string{{}, {"-memory", "1"}, {"-memory", "1", "-picture-cache", "none"},
		{"-threads", "1"}} {
		name := fmt.Sprint("odd", i)
		args := pictureArguments(dir,
			append([]string{"-epochs", "1", "-picture-cache", dir + "/cache", "-skip-damaged", "-name",
				name}, more...)...)
		code, out, errs := runBounded(t, args...)
		if code != 0 || strings.Count(out, "left out: ") != 2 ||
			!strings.Contains(out, "48 images 3×8×8, 3 classes") {
			t.Fatalf("%v: exit %d: %s%s", more, code, out, errs)
		}
		got := outcomeOf(t, filepath.Join(dir, "runs", name))
		if i == 0 {
			want = got
		}
		got.same(t, want)
	}
}

// Classes may be called as parts are.
func TestAClassCalledTrain(t *testing.T) {
	dir := pictureFixture(t)
	own := filepath.Join(dir, "own")
	if err := errors.Join(os.Rename(own+"/ant", own+"/train"),
		os.Rename(own+"/bee", own+"/test")); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runBounded(t, pictureArguments(dir, "-epochs", "1")...)
	if code != 0 || !strings.Contains(out, "45 images 3×8×8, 3 classes; tested on nothing") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	writePicture(t, filepath.Join(own, "Cat", "1.png"), 9, 9, 1)
	writePictureNetwork(t, filepath.Join(dir, "own.json"), 4)
	code, out, errs = runBounded(t, pictureArguments(dir, "-epochs", "1")...)
	if code != 0 ||
		!strings.Contains(out, "note: the classes Cat and cat differ in upper and lower case alone") {
		if entries, err := os.ReadDir(own); err == nil && len(entries) == 3 {
			t.Skip("this system's names do not tell Cat from cat")
		}
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// A picture that changes or vanishes while it is read in each epoch ends the run, which
// has its checkpoint, and goes on once the picture is what it was.
func TestPicturesThatChangeWhileTraining(t *testing.T) {
	for name, test := range map[string]struct {
		change func(path string) error
		says   string
	}{
		"changed": {func(path string) error { return os.WriteFile(path, []byte("another"), 0o666) },
			"own/bee/1.png is another file than when the set was opened; put back what it was, or begin anew"},
		"gone": {os.Remove, "own/bee/1.png is gone; put it back, and go on"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := pictureFixture(t)
			path := filepath.Join(dir, "own", "bee", "1.png")
			whole := read(t, path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			args := pictureArguments(dir, "-epochs", "1000000", "-memory", "1", "-picture-cache", "none")
			begun := onEpochLine{1, func() {
				if err := test.change(path); err != nil {
					t.Error(err)
				}
			}}
			code := run(t.Context(), args, io.MultiWriter(&out, begun), &errs, nil)
			if code != cli.ExitFailure || !strings.Contains(errs.String(), test.says) ||
				!strings.Contains(errs.String(), "Go on with: train -resume -name own") {
				t.Fatalf("exit %d: %s", code, &errs)
			}
			resume := []string{"-resume", "-name", "own", "-runs", dir + "/runs", "-epochs", "3"}
			if code, _, errs := runBounded(t, resume...); code != 1 || !strings.Contains(errs, dir+"/own") {
				t.Errorf("resumed with it: exit %d: %s", code, errs)
			}
			writeFile(t, path, whole)
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			if code, _, errs := runBounded(t, resume...); code != 0 {
				t.Errorf("resumed: exit %d: %s", code, errs)
			}
		})
	}
}

// The set of a run may move: both parts are found at the new place, and a picture that was
// replaced is noticed there.
func TestPicturesThatMove(t *testing.T) {
	dir := pictureFixture(t)
	own, there := filepath.Join(dir, "own"), filepath.Join(dir, "there")
	for _, part := range []string{"train", "test"} {
		for i := range 6 {
			class := []string{"ant", "bee", "cat"}[i%3]
			writePicture(t, filepath.Join(dir, "parts", part, class, fmt.Sprint(i, ".png")), 9, 8, uint64(i))
		}
	}
	if err := errors.Join(os.RemoveAll(own), os.Rename(filepath.Join(dir, "parts"), own)); err != nil {
		t.Fatal(err)
	}
	args := []string{"-data", own, "-network", dir + "/own.json", "-runs", dir + "/runs", "-resize",
		"8", "-epochs", "1"}
	if code, out, errs := runBounded(t, args...); code != 0 ||
		!strings.Contains(out, "tested on "+own+":t10k, 6 images") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if err := os.Rename(own, there); err != nil {
		t.Fatal(err)
	}
	resume := []string{"-resume", "-name", "own", "-runs", dir + "/runs", "-epochs", "2"}
	if code, _, errs := runBounded(t, resume...); code != 1 ||
		!strings.Contains(errs, "-data names the place where it is now") {
		t.Errorf("at the old place: exit %d: %s", code, errs)
	}
	if code, out, errs := runBounded(t, append(resume, "-data", there)...); code != 0 ||
		!strings.Contains(out, "6 images 3×8×8, 3 classes\n") {
		t.Errorf("at the new place: exit %d: %s%s", code, out, errs)
	}
	resume[len(resume)-1] = "3"
	writePicture(t, filepath.Join(there, "test", "ant", "0.png"), 9, 8, 99)
	if code, _, errs := runBounded(t, resume...); code != 1 ||
		!strings.Contains(errs, "the run's test set: the set has changed since") {
		t.Errorf("another picture to test on: exit %d: %s", code, errs)
	}
	writePicture(t, filepath.Join(there, "train", "ant", "0.png"), 9, 8, 99)
	if code, _, errs := runBounded(t, append(resume, "-test", "none")...); code != 1 ||
		!strings.Contains(errs, "cannot resume with other data") {
		t.Errorf("another picture to train on: exit %d: %s", code, errs)
	}
	if err := os.RemoveAll(filepath.Join(there, "test")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := runBounded(t, resume...); code != 1 ||
		!strings.Contains(errs, "it has pictures in train, and no folder of the part t10k") {
		t.Errorf("without the part to test on: exit %d: %s", code, errs)
	}
}

// Processes that decode the same pictures at the same time do not disturb each other.
func TestOneCacheOfSeveralProcesses(t *testing.T) {
	dir := pictureFixture(t)
	cache := filepath.Join(dir, "cache")
	args := pictureArguments(dir, "-epochs", "1", "-memory", "1", "-picture-cache", cache)
	var processes []*process
	for i := range 3 {
		processes = append(processes, launch(t, nil, append(args, "-name", fmt.Sprint("p", i))...))
	}
	var want outcome
	for i, p := range processes {
		if code := p.end(t); code != 0 {
			t.Fatalf("exit %d: %s", code, p.stderr.String())
		}
		got := outcomeOf(t, filepath.Join(dir, "runs", fmt.Sprint("p", i)))
		if i == 0 {
			want = got
		}
		got.same(t, want)
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) != 1 {
		t.Errorf("the cache has %v, %v", entries, err)
	}
	// Another sizing has a file of its own.
	if code, _, errs := runBounded(t, append(args, "-name", "q", "-augment", "flip", "-fit",
		"pad")...); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
	if packs := packsIn(t, cache); len(packs) != 2 {
		t.Errorf("the cache has %v", packs)
	}
}

// Where there is no cache to write to, pictures are decoded in each epoch, and it is said.
func TestACacheThatCannotBeWritten(t *testing.T) {
	dir := pictureFixture(t)
	folder := filepath.Join(dir, "read-only")
	if err := os.Mkdir(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	for name, cache := range map[string]string{"a file": dir + "/own.json", "a device": "/dev/null",
		"a read-only folder": folder} {
		t.Run(name, func(t *testing.T) {
			if cache == folder && os.Geteuid() == 0 {
				t.Skip("root may write everywhere")
			}
			code, out, errs := runBounded(t, pictureArguments(dir, "-epochs", "1", "-memory", "1",
				"-picture-cache", cache)...)
			if code != 0 || strings.Count(out, "are decoded in each epoch: ") != 1 ||
				strings.Contains(out, "made again") {
				t.Errorf("exit %d: %s%s", code, out, errs)
			}
		})
	}
}
