package infer

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// compile makes a shared library of a C file. cgo, which this package needs,
// needs a C compiler, too.
func compile(t *testing.T, source string) string {
	t.Helper()
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	library := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if out, err := exec.Command(compiler, "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return library
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLibraryErrorsNameFileReasonAndRemedy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the files are ELF files")
	}
	if err := canLoad(); err != nil {
		t.Skip(err)
	}
	other := writeFile(t, "other.c", []byte("int nothing_of_onnxruntime(void) { return 1; }\n"))
	otherLibrary := compile(t, other)
	whole, err := os.ReadFile(otherLibrary)
	if err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Clone(whole)
	foreign[18], foreign[19] = 0xF3, 0 // e_machine: RISC-V
	for name, test := range map[string]struct{ path, want string }{
		"missing":       {filepath.Join(t.TempDir(), "libmissing.so"), "no such file"},
		"a folder":      {t.TempDir(), "is not a file"},
		"a text":        {writeFile(t, "libtext.so", bytes.Repeat([]byte("no library\n"), 10)), "not an ELF file"},
		"empty":         {writeFile(t, "libempty.so", nil), "not an ELF file"},
		"truncated":     {writeFile(t, "libshort.so", whole[:len(whole)/2]), ""},
		"other machine": {writeFile(t, "libriscv.so", foreign), "another processor"},
		"other library": {otherLibrary, "no OrtGetApiBase"},
		"old version":   {compile(t, "testdata/oldlib.c"), "onnxruntime 1.17.3, too old: version 1.24 or newer"},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(err error) {
				t.Helper()
				var libraryError *LibraryError
				if !errors.As(err, &libraryError) {
					t.Fatalf("%v is no LibraryError", err)
				}
				for _, part := range []string{test.path, test.want, "make setup", "scripts/setup-onnxruntime"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q has no %q", err, part)
					}
				}
			}
			_, err := FindLibrary(test.path, false)
			check(err)
			t.Setenv(LibraryVariable, test.path)
			_, err = FindLibrary("", false)
			check(err)
			model, err := LoadModel("testdata/small.onnx")
			if err != nil {
				t.Fatal(err)
			}
			_, err = OpenONNXRuntime(model, ONNXRuntimeOptions{Device: DeviceCPU})
			check(err)
		})
	}
}

// TestTruncatedLibrary cuts the real one, whose loading would end the process
// by SIGBUS.
func TestTruncatedLibrary(t *testing.T) {
	library := needLibrary(t)
	if runtime.GOOS != "linux" {
		t.Skip("the library is no ELF file")
	}
	data, err := os.ReadFile(library.Path)
	if err != nil {
		t.Skipf("the library is the system's: %v", err)
	}
	for _, size := range []int{len(data) / 10, len(data) / 2, len(data) * 9 / 10} {
		_, err := ProbeLibrary(writeFile(t, "libonnxruntime.so", data[:size]))
		if err == nil || !strings.Contains(err.Error(), "truncated") && !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%d of %d bytes: %v", size, len(data), err)
		}
	}
}

func TestNewestLibraryOfTheRightPlatformFirst(t *testing.T) {
	folder := t.TempDir()
	platform := runtime.GOOS + "-" + runtime.GOARCH
	for _, name := range []string{
		"1.9.0/" + platform + "/lib/libonnxruntime.so.1.9.0",
		"1.32.0/" + platform + "/lib/libonnxruntime.so.1.32.0",
		"1.31.1/" + platform + "-cuda/lib/libonnxruntime.so.1.31.1",
		"1.31.1/" + platform + "-cuda/lib/libonnxruntime_providers_cuda.so",
		"1.40.0/plan9-mips/lib/libonnxruntime.so.1.40.0",
	} {
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	names := func(paths []string) string {
		var b strings.Builder
		for _, path := range paths {
			b.WriteString(strings.TrimPrefix(filepath.Base(path), "libonnxruntime.so.") + " ")
		}
		return b.String()
	}
	if got := names(librariesIn(folder, false)); got != "1.32.0 1.9.0 1.31.1 " {
		t.Errorf("for the CPU: %s", got)
	}
	if got := names(librariesIn(folder, true)); got != "1.31.1 1.32.0 1.9.0 " {
		t.Errorf("for CUDA: %s", got)
	}
}

// TestEnvironmentIsSharedAndReopened opens, closes and opens again: the last of
// several users ends the environment, and a new one begins it anew.
func TestEnvironmentIsSharedAndReopened(t *testing.T) {
	want := golden(t)
	for range 3 {
		first, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		second, err := openONNXRuntime(t, "fixed4.onnx", ONNXRuntimeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := second.Run(t.Context(), testBatch(3))
		if err != nil {
			t.Fatal(err)
		}
		wantClose(t, got, want)
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
