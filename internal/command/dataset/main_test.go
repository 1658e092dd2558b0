package dataset

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/cli/clitest"
)

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious.png")
	if err := os.WriteFile(precious, []byte("not a picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	fakeMNIST := filepath.Join(dir, "fake")
	writeFolder(t, fakeMNIST, "train", 3)
	writeFolder(t, fakeMNIST, "t10k", 3)
	many := filepath.Join(dir, "many")
	writeFolder(t, many, "t10k", 12)
	names := filepath.Join(dir, "names.txt")
	if err := os.WriteFile(names, []byte("ant\nbee\nwasp\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	sheet := filepath.Join(dir, "sheet.png")
	t.Setenv("PATH", "") // no go command
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	t.Setenv("HOME", dir)

	for _, test := range []struct {
		args string
		code int
		want string // in stderr
	}{
		{"", 2, "show or fetch"},
		{"sohw", 2, `did you mean "show"?`},
		{"show t10k extra", 2, `unexpected argument "extra": one set is shown at a time`},
		{"show -data t10k extra", 2, `unexpected argument "extra"`},
		{"show -o " + sheet + " t1ok", 1, `did you mean "t10k"`},
		{"show " + many + " -n 1000 -columns 5 -o " + sheet, 0, ""},
		{"show -dta t10k", 2, `did you mean -data`},
		{"show -n many", 2, "-n"},
		{"show -n 0", 2, "at least 1 image"},
		{"show -columns 0", 2, "at least 1"},
		{"show -classes 65537", 2, "1 to 65536"},
		{"show -o= -n 5", 2, "draws none"},
		{"show -o sheet.jpg", 2, "ends in .png"},
		{"show -data-dir " + fakeMNIST, 2, "-data train alone"},
		{"show -data train -data-dir=", 2, "-data-dir is empty"},
		{"show -o " + sheet + " -data t1ok", 1, `did you mean "t10k"`},
		{"show -o " + sheet + " -data " + fakeMNIST, 1, fakeMNIST + ":train or " + fakeMNIST + ":t10k"},
		{"show -o " + sheet + " -data " + many + " -classes 10", 1,
			"labels are 0 to 11, 10 classes end at 9"},
		{"show -o " + sheet + " -data " + many + " -labels " + names, 1,
			"3 class names, but labels are 0 to 11"},
		{"show -o " + sheet + " -data " + many + " -labels " + names + " -classes 3", 2,
			"give one of them"},
		{"show -o " + sheet + " -data " + precious, 1, "not an IDX file"},
		{"show -o " + sheet + " -data t10k -classes 5", 1, "t10k has 10"},
		{"show -o " + sheet + " -data train -data-dir " + fakeMNIST, 1, "checksum differs"},
		{"show -o " + sheet + " -data train", 1, "training set was not found"},
		{"show -o " + precious, 1, "is no PNG"},
		{"show -o " + filepath.Join(dir, "missing", "sheet.png"), 1, "cannot write into the folder"},
		{"show -o " + sheet + " -data " + many + " -n 1000 -columns 5", 0, ""},
		{"show -o " + sheet + " -data optdigits", 1, "dataset fetch optdigits"},
		{"show -o " + sheet + " -data optdigit", 1, `did you mean "optdigits"`},
		{"fetch now", 2, `unknown set "now"`},
		{"fetch fashoin", 2, `did you mean "fashion"`},
		{"fetch train now", 2, `unexpected argument "now"`},
		{"fetch -x", 2, "unknown flag -x"},
		{"fetch optdigits", 1, "pip is not installed"},
		{"fetch", 1, "dataset fetch"},
		{"fetch cifar10 -from " + precious, 1, "its md5 is"},
		{"fetch cifar10 -from " + filepath.Join(dir, "nothing"), 1, "no such file"},
		{"fetch cifar100 -from=", 2, "-from is empty"},
		{"fetch fashion -from " + precious, 2, "cifar10 and cifar100 alone"},
		{"fetch -from " + precious, 2, "cifar10 and cifar100 alone"},
		{"show -o " + sheet + " -data cifar10", 1, "dataset fetch cifar10"},
	} {
		t.Run(strings.ReplaceAll(test.args, dir, "DIR"), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), strings.Fields(test.args), &stdout, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(stderr.String(), test.want) {
				t.Errorf("stderr %q, want %q in it", stderr.String(), test.want)
			}
			if test.code != 0 {
				if _, err := os.Stat(sheet); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a failed command left a sheet (%v)", err)
				}
			}
			os.Remove(sheet)
		})
	}
	if got, err := os.ReadFile(precious); err != nil || string(got) != "not a picture" {
		t.Errorf("the file that is no PNG holds %q (%v)", got, err)
	}
}

func TestShow(t *testing.T) {
	sheet := filepath.Join(t.TempDir(), "sheet.png")
	for range 2 { // a PNG may be replaced
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"show", "-o", sheet, "-n", "20"}, &stdout,
			&stderr); code != 0 || stderr.Len() != 0 {
			t.Fatalf("exit code %d, stderr %q", code, stderr.String())
		}
		for _, want := range []string{
			"images: [10000, 1, 28, 28] uint8\n", "labels: [10000] int32, 10 classes, labels are 0 to 9\n",
			"known:  MNIST: Yann LeCun, Corinna Cortes, Christopher Burges; CC BY-SA 3.0\n",
			"min 0, max 255, mean 33.7912, std 79.1725; of 1: mean 0.1325, std 0.3105\n",
			"    0     980   9.80 %\n", "    9    1009  10.09 %\n", "contact sheet of 20 images: " + sheet,
		} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%q is not in\n%s", want, stdout.String())
			}
		}
	}
	f, err := os.Open(sheet)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if picture, err := png.Decode(f); err != nil || picture.Bounds().Dx() != 604 || picture.Bounds().
		Dy() != 150 {
		t.Errorf("the sheet is %v (%v), want 604×150", picture.Bounds(), err)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"-h", "show -h", "fetch -h"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &stdout, &stderr); code != 0 ||
			stderr.Len() != 0 {
			t.Errorf("%s: exit code %d, stderr %q", args, code, stderr.String())
		}
		if !strings.Contains(stdout.String(), "Example") ||
			!strings.Contains(stdout.String(), "dataset fetch") && args != "show -h" {
			t.Errorf("%s printed %q", args, stdout.String())
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"show", "-o="}, &stdout, &stderr); code != 1 ||
		!strings.Contains(stderr.String(), "dataset: interrupted") {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
}

// Classes are as many as there are labels, and are called what their file says.
func TestShowNamesClasses(t *testing.T) {
	dir := t.TempDir()
	writeFolder(t, dir, "train", 3)
	for name, text := range map[string]string{dataset.ClassNamesFile: "ant\nbee\nwasp\n",
		"LICENSE": "CC0 1.0"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"show", "-o", "", "-data", dir}, &stdout,
		&stderr); code != 0 {
		t.Fatalf("exit code %d, stderr %q", code, stderr.String())
	}
	for _, want := range []string{"3 classes, labels are 0 to 2\n", "    2       1  33.33 %  wasp\n",
		"terms:  CC0 1.0 (the set's file LICENSE)\n"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not in\n%s", want, stdout.String())
		}
	}
	if strings.Contains(stdout.String(), "MNIST") {
		t.Errorf("of a set of one's own is told:\n%s", stdout.String())
	}
}

// writeFolder writes a pair of n 2×2 images with labels 0…n−1.
func writeFolder(t *testing.T, dir, part string, n int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	labels := make([]byte, n)
	for i := range labels {
		labels[i] = byte(i)
	}
	for name, x := range map[string]*dataset.IDX{
		part + "-images-idx3-ubyte": {Type: dataset.Uint8, Shape: []int{n, 2, 2},
			Data: make([]byte, 4*n)},
		part + "-labels-idx1-ubyte": {Type: dataset.Uint8, Shape: []int{n}, Data: labels},
	} {
		var b bytes.Buffer
		if err := dataset.WriteIDX(&b, x); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The examples of the help are command lines that the command takes.
func TestExamples(t *testing.T) {
	clitest.CheckExamples(t, "dataset show", func(args []string, stdout io.Writer) error {
		_, err := parseShow(args, stdout)
		return err
	})
}
