//go:build unix

package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/train"
)

// pictureFixture is a folder own with 45 coloured pictures of mixed sizes in three classes,
// and own.json, a network for them at 8×8.
func pictureFixture(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := range 45 {
		class := []string{"ant", "bee", "cat"}[i%3]
		path := filepath.Join(dir, "own", class, fmt.Sprintf("%d.png", i))
		writePicture(t, path, 59+i%5, 68+i%7, uint64(i))
	}
	writePictureNetwork(t, filepath.Join(dir, "own.json"), 3)
	return dir
}

// writePicture writes a coloured picture of noise around a colour of the seed.
func writePicture(t *testing.T, path string, height, width int, seed uint64) {
	t.Helper()
	source := rand.New(rand.NewPCG(seed, 17))
	noise := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(source.IntN(180))
		switch i % 4 {
		case int(seed % 3):
			noise.Pix[i] += 70
		case 3:
			noise.Pix[i] = 255
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, noise); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, file.Bytes())
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

func writePictureNetwork(t *testing.T, path string, classes int) {
	t.Helper()
	network, err := builder.New("own", builder.Shape{3, 8, 8},
		builder.Conv2D{Filters: 64, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.Flatten{}, builder.Dropout{P: 0.2}, builder.Dense{Units: classes})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, raw)
}

// pictureArguments train on own in all the ways that draw or measure something: 34 steps
// an epoch.
func pictureArguments(dir string, more ...string) []string {
	return append([]string{"-data", dir + "/own", "-network", dir + "/own.json",
		"-runs", dir + "/runs", "-resize", "8", "-augment",
		"random-resized-crop,flip,color-jitter=0.4:0.4:0.4:0.1",
		"-validation", "0.25", "-pixels", "measured", "-batch", "1", "-seed", "5"}, more...)
}

// outcome is what a run has come to.
type outcome struct {
	weights []byte
	history train.History
}

func outcomeOf(t *testing.T, run string) outcome {
	t.Helper()
	history := readHistory(t, run)
	for i := range history {
		history[i].Seconds, history[i].ImagesPerSecond = 0, 0
	}
	return outcome{read(t, filepath.Join(run, "weights.safetensors")), history}
}

// same reports an outcome that is not the one wanted.
func (o outcome) same(t *testing.T, want outcome) {
	t.Helper()
	if !bytes.Equal(o.weights, want.weights) {
		t.Error("the weights have other bytes")
	}
	if !reflect.DeepEqual(o.history, want.history) {
		t.Errorf("the history is %v, want %v", o.history, want.history)
	}
}

// packsIn lists the files of decoded pictures in a folder.
func packsIn(t *testing.T, cache string) []string {
	t.Helper()
	list, err := dataset.ListPictureCache(cache)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, pack := range list {
		paths = append(paths, pack.Path)
	}
	return paths
}

// spoil writes over the pixels in the middle of each pack in place, as a bad disk would.
func spoil(t *testing.T, cache string) {
	t.Helper()
	packs := packsIn(t, cache)
	if len(packs) == 0 {
		t.Error("there is no file of decoded pictures to damage")
	}
	for _, path := range packs {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(bytes.Repeat([]byte{7}, 3000), 1000); err != nil {
			t.Error(err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}

// truncate cuts each pack in the middle.
func truncate(t *testing.T, cache string) {
	t.Helper()
	for _, path := range packsIn(t, cache) {
		if err := os.Truncate(path, 1500); err != nil {
			t.Error(err)
		}
	}
}

// Order, augmentation and result do not depend on the number of threads, on the memory, or
// on the cache of decoded pictures: not there, made, found, found damaged, or damaged, cut
// off and removed while the run reads it.
func TestPicturesTrainToTheSameBits(t *testing.T) {
	threads := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(threads) })
	dir := pictureFixture(t)
	cache := filepath.Join(dir, "cache")
	base := pictureArguments(dir, "-epochs", "5", "-picture-cache", cache)
	var want outcome
	for i, test := range []struct {
		name   string
		args   []string
		before func()
		// during is done after the second epoch.
		during func()
		says   string
	}{
		{"in memory", []string{"-threads", "1"}, nil, nil, ""},
		{"2 threads", []string{"-threads", "2"}, nil, nil, ""},
		{"3 threads", []string{"-threads", "3"}, nil, nil, ""},
		{"no cache", []string{"-threads", "2", "-memory", "1", "-picture-cache", "none"}, nil, nil,
			"are decoded in each epoch: no cache of pictures is asked for"},
		{"no cache, 3 threads", []string{"-threads", "3", "-memory", "1kB", "-picture-cache", "none"},
			nil, nil, "do not fit into 1 kB of memory"},
		{"a fresh cache", []string{"-threads", "3", "-memory", "1"}, nil, nil, "are decoded into " +
			cache},
		{"a warm cache", []string{"-threads", "1", "-memory", "1"}, nil, nil, ""},
		{"a warm cache into memory", []string{"-threads", "2"}, nil, nil, ""},
		{"damaged pixels", []string{"-threads", "2", "-memory", "1"}, func() { spoil(t, cache) }, nil,
			"which is decoded again"},
		{"cut off before", []string{"-threads", "2", "-memory", "1"}, func() { truncate(t, cache) }, nil,
			"are made again: "},
		{"damaged while training", []string{"-threads", "2", "-memory", "1"}, nil, func() {
			spoil(t, cache)
		}, "which is decoded again"},
		{"made again, damaged into memory", []string{"-threads", "1"}, nil, nil,
			"which is decoded again"},
		{"cut off while training", []string{"-threads", "2", "-memory", "1"}, nil, func() {
			truncate(t, cache)
		}, "which is decoded again"},
		{"removed while training", []string{"-threads", "3", "-memory", "1"}, nil,
			func() {
				if err := os.RemoveAll(cache); err != nil {
					t.Error(err)
				}
			}, "are made again: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.before != nil {
				test.before()
			}
			var out, errs bytes.Buffer
			during := onEpochLine{2, func() {
				if test.during != nil {
					test.during()
				}
			}}
			name := fmt.Sprint("run", i)
			args := append(append(base[:len(base):len(base)], test.args...), "-name", name)
			code := run(t.Context(), args, io.MultiWriter(&out, during), &errs, nil)
			if code != cli.ExitOK {
				t.Fatalf("exit %d: %s%s", code, &errs, &out)
			}
			if !strings.Contains(out.String(), test.says) {
				t.Errorf("the output lacks %q: %s", test.says, &out)
			}
			got := outcomeOf(t, filepath.Join(dir, "runs", name))
			if i == 0 {
				want = got
				return
			}
			got.same(t, want)
		})
	}
}

// progressOf is how far the run's newest checkpoint has come.
func progressOf(t *testing.T, run string) train.Progress {
	t.Helper()
	dir, err := train.OpenRun(run)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := dir.Latest()
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint.Progress
}

// A run on pictures that is killed or ended in the middle of an epoch ends with the bits of
// one that never was, also where it goes on with other threads, another memory, or without
// the cache that it began with.
func TestPicturesResumeToTheSameBits(t *testing.T) {
	dir := pictureFixture(t)
	const epochs = "15"
	cache := filepath.Join(dir, "cache")
	whole := launch(t, nil, pictureArguments(dir, "-epochs", epochs, "-name", "whole", "-threads",
		"2")...)
	if code := whole.end(t); code != 0 {
		t.Fatalf("exit %d: %s", code, whole.stderr.String())
	}
	want := outcomeOf(t, filepath.Join(dir, "runs", "whole"))
	gone := func(*exec.Cmd) {
		if err := os.RemoveAll(cache); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		code   int
		start  []string
		resume []string
		change func(*exec.Cmd)
	}{
		{"killed", syscall.SIGKILL, 137, []string{"-threads", "1"}, []string{"-threads", "3"}, nil},
		{"ended", syscall.SIGTERM, 143, []string{"-threads", "3"},
			[]string{"-threads", "2", "-memory", "1", "-picture-cache", "none"}, nil},
		{"killed with a cache", syscall.SIGKILL, 137, []string{"-memory", "1", "-picture-cache", cache},
			[]string{"-memory", "1", "-picture-cache", cache}, func(*exec.Cmd) { spoil(t, cache) }},
		{"ended with a cache", syscall.SIGTERM, 143, []string{"-memory", "1", "-picture-cache", cache},
			[]string{"-memory", "1", "-picture-cache", cache}, gone},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := strings.ReplaceAll(test.name, " ", "-")
			run := filepath.Join(dir, "runs", name)
			resume := []string{"-resume", "-name", name, "-runs", dir + "/runs"}
			start := pictureArguments(dir, "-epochs", epochs, "-name", name, "-checkpoint-every", "5")
			for epoch, step := 6, 0; step == 0; epoch++ {
				p := launch(t, nil, append(start, test.start...)...)
				line := fmt.Sprintf("Epoch [%d/", epoch)
				// Then the next epoch begins; its steps take longer than it takes to see it.
				p.await(t, line, func() bool { return strings.Contains(p.stdout.String(), line) })
				if err := p.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
				if code := p.end(t); code != test.code {
					t.Fatalf("exit %d: %s", code, p.stderr.String())
				}
				progress := progressOf(t, run)
				t.Logf("%d epochs and %d steps are saved", progress.Epochs, progress.EpochStep)
				start, step, epoch = resume, progress.EpochStep, progress.Epochs
				if test.signal == syscall.SIGKILL {
					break // what is saved is the end of an epoch
				}
			}
			again := launch(t, test.change, append(resume, test.resume...)...)
			if code := again.end(t); code != 0 {
				t.Fatalf("exit %d: %s", code, again.stderr.String())
			}
			outcomeOf(t, run).same(t, want)
		})
	}
}
