package infer

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	if out, err := exec.Command(compiler, "-shared", "-fPIC", "-o", library, source).
		CombinedOutput(); err != nil {
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
		"missing":  {filepath.Join(t.TempDir(), "libmissing.so"), "no such file"},
		"a folder": {t.TempDir(), "is not a file"},
		"a text": {writeFile(t, "libtext.so", bytes.Repeat([]byte("no library\n"), 10)),
			"not an ELF file"},
		"empty":         {writeFile(t, "libempty.so", nil), "not an ELF file"},
		"truncated":     {writeFile(t, "libshort.so", whole[:len(whole)/2]), ""},
		"other machine": {writeFile(t, "libriscv.so", foreign), "another processor"},
		"other library": {otherLibrary, "no OrtGetApiBase"},
		"old version": {compile(t, "testdata/oldlib.c"),
			"onnxruntime 1.17.3, too old: version 1.24 or newer"},
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
			_, err = OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
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
		_, err := probeLibrary(writeFile(t, "libonnxruntime.so", data[:size]))
		if err == nil || !strings.Contains(err.Error(), "truncated") &&
			!strings.Contains(err.Error(), "damaged") {
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

func TestVersionsOfLibraries(t *testing.T) {
	for version, want := range map[string]string{
		"1.24": "", "1.24.0": "", "2.0.1": "", "1.23.9": "too old", "0.30.0": "too old",
		"1": "not one of", "1.x.0": "not one of", "x.24.0": "not one of",
	} {
		err := checkVersion("file", version)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", version, err, want)
		}
	}
}

// planted is a shared library that looks like the newest onnxruntime and says so when it is loaded.
func planted(t *testing.T, folder string) (mark string) {
	t.Helper()
	mark = filepath.Join(t.TempDir(), "loaded")
	source := writeFile(t, "planted.c", []byte(`#include <stdio.h>
__attribute__((constructor)) static void begin(void) { fclose(fopen("`+mark+`", "w")); }
`))
	lib := filepath.Join(folder, ".cache", "onnxruntime", "99.0.0", runtime.GOOS+"-"+runtime.GOARCH,
		"lib")
	if err := os.MkdirAll(lib, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(compile(t, source),
		filepath.Join(lib, "libonnxruntime.so.99.0.0")); err != nil {
		t.Fatal(err)
	}
	return mark
}

// Nothing of the working folder runs, nor of the folders above it, and in the folders that are
// looked at only what is pinned.
func TestPlantedLibrariesAreNotLoaded(t *testing.T) {
	if err := canLoad(); err != nil {
		t.Skip(err)
	}
	t.Setenv(LibraryVariable, "")
	top := t.TempDir()
	working := filepath.Join(top, "project", "data")
	if err := os.MkdirAll(working, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(working)
	for _, folder := range []string{working, filepath.Dir(working), top} {
		mark := planted(t, folder)
		lib := filepath.Join(folder, ".cache", "onnxruntime", "99.0.0", runtime.GOOS+"-"+runtime.GOARCH,
			"lib")
		if err := os.Link(filepath.Join(lib, "libonnxruntime.so.99.0.0"),
			filepath.Join(folder, "libonnxruntime.so")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("LD_LIBRARY_PATH", "/nonexistent:")
		_, err := FindLibrary("", false)
		if _, stat := os.Stat(mark); stat == nil {
			t.Errorf("a library in %s has run (%v)", folder, err)
		}
	}
	user := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", user)
	t.Setenv("HOME", user)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	mark := planted(t, cache)
	if err := os.Rename(filepath.Join(cache, ".cache"), filepath.Join(cache, "slipway")); err != nil {
		t.Fatal(err)
	}
	_, err = FindLibrary("", false)
	if _, stat := os.Stat(mark); stat == nil {
		t.Error("a library in the user's cache that nobody has pinned has run")
	}
	var library *LibraryError
	if errors.As(err, &library) && !errors.Is(err, ErrNotPinned) {
		t.Errorf("%v does not say that it is not pinned", err)
	}
}

// The library and all of onnxruntime beside it are the pinned ones.
func TestVerifyingPins(t *testing.T) {
	folder := t.TempDir()
	library := filepath.Join(folder, "libonnxruntime.so.1.32.0")
	provider := filepath.Join(folder, "libonnxruntime_providers_cuda.so")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum := func(text string) string {
		s := sha256.Sum256([]byte(text))
		return hex.EncodeToString(s[:])
	}
	pins := parsePins("# a comment of nine fields, as there may be one day too\n"+
		"cpu here pip onnxruntime 1.32.0 - - onnxruntime/capi/libonnxruntime.so.1.32.0 "+sum("library")+
		"\n"+
		"cpu elsewhere pip onnxruntime 1.32.0 - - capi/libonnxruntime.so.1.32.0 "+sum("elsewhere")+"\n"+
		"cpu here npm onnxruntime-node 1.30.0 - - bin/libonnxruntime.so.1 "+sum("node")+"\n"+
		"cuda here pip onnxruntime-gpu 1.31.1 - - capi/libonnxruntime_providers_cuda.so "+sum("cuda")+
		"\n", "here")
	if len(pins) != 3 || pins[1].name != "libonnxruntime.so.1.30.0" {
		t.Fatalf("%+v", pins)
	}
	for _, test := range []struct {
		library, provider string
		pinned            bool
	}{
		{"library", "", true}, {"library", "cuda", true}, {"elsewhere", "", false}, {"node", "", false},
		{"library", "library", false}, {"librarz", "cuda", false}, {"library", "anything else", false},
	} {
		write(library, test.library)
		os.Remove(provider)
		if test.provider != "" {
			write(provider, test.provider)
		}
		err := verifyLibrary(library, pins)
		if test.pinned != (err == nil) || err != nil && !errors.Is(err, ErrNotPinned) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	write(library, "library")
	os.Remove(provider)
	for _, planted := range []string{"librt.so.1", "libstdc++.so.6"} {
		write(filepath.Join(folder, planted), "planted")
		if err := verifyLibrary(library, pins); !errors.Is(err, ErrNotPinned) ||
			!strings.Contains(err.Error(), planted) {
			t.Errorf("with %s beside it: %v", planted, err)
		}
		os.Remove(filepath.Join(folder, planted))
		if err := os.Symlink(library, filepath.Join(folder, planted)); err != nil {
			t.Fatal(err)
		}
		if err := verifyLibrary(library, pins); !errors.Is(err, ErrNotPinned) {
			t.Errorf("with %s beside it as a link: %v", planted, err)
		}
		os.Remove(filepath.Join(folder, planted))
	}
	write(filepath.Join(folder, oldSums), "a text")
	if err := verifyLibrary(library, pins); err != nil {
		t.Error(err)
	}
	if err := verifyLibrary("libonnxruntime.so", pins); !errors.Is(err, ErrNotPinned) {
		t.Errorf("what the system's loader finds is pinned: %v", err)
	}
}

// Each of the places is told of, and the working folder is none.
func TestPlacesOfLibraries(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	working := t.TempDir()
	t.Chdir(working)
	var places []string
	for _, folder := range cacheFolders() {
		places = append(places, folder.path)
	}
	told := strings.Join(places, " ")
	for _, want := range []string{filepath.Join(filepath.Dir(filepath.Dir(executable)), ".cache"),
		filepath.Join("slipway", "onnxruntime")} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not among the places %q", want, places)
		}
	}
	if strings.Contains(told, working) {
		t.Errorf("the working folder %s is among the places %q", working, places)
	}
	for relative, want := range map[string][]int{
		"1.24.0/linux": {1, 24, 0}, "1.10/linux": {1, 10}, "1.9-rc1/linux": {1}, "new/linux": nil,
	} {
		if got := versionOf(relative); !slices.Equal(got, want) {
			t.Errorf("%s is of version %v, want %v", relative, got, want)
		}
	}
}

// smallELF is a shared library of a header and one segment, 120 bytes, that takes as many
// bytes of the file as asked for.
func smallELF(t *testing.T, segment elf.ProgType, bytes uint64) string {
	t.Helper()
	header := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(elfMachine()), Version: 1,
		Phoff:  64,
		Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64),
		byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	program := elf.Prog64{Type: uint32(segment), Filesz: bytes, Memsz: bytes}
	var file strings.Builder
	for _, part := range []any{header, program} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "library.so")
	if err := os.WriteFile(path, []byte(file.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// A segment that is loaded must lie in the file, to its last byte.
func TestSegmentsOfLibraries(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems' loaders look at the file themselves")
	}
	for _, test := range []struct {
		segment elf.ProgType
		bytes   uint64
		want    string
	}{
		{elf.PT_LOAD, 120, ""}, {elf.PT_LOAD, 121, "it has 120 bytes, its segments need 121"},
		{elf.PT_NOTE, 121, ""},
	} {
		err := checkLibraryFile(smallELF(t, test.segment, test.bytes))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(),
			test.want) {
			t.Errorf("%v of %d bytes: %v, want %q", test.segment, test.bytes, err, test.want)
		}
	}
}

// What is brought is found in the user's cache; what lies beside it and is not pinned is passed
// over.
func TestTheNextLibraryIsFound(t *testing.T) {
	found := needLibrary(t)
	if err := VerifyLibrary(found); err != nil {
		t.Skipf("the library is not one that setup-onnxruntime has brought: %v", err)
	}
	user := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", user)
	t.Setenv("HOME", user)
	t.Setenv(LibraryVariable, "")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	place := func(version string) string {
		lib := filepath.Join(cache, "slipway", "onnxruntime", version, runtime.GOOS+"-"+runtime.GOARCH,
			"lib")
		if err := os.MkdirAll(lib, 0o755); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(lib, filepath.Base(found.Path))
	}
	err = errors.Join(os.WriteFile(place("99.0.0"), []byte("no library"), 0o644),
		os.Symlink(found.Path, place("1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(found.Path)
	if err != nil {
		t.Fatal(err)
	}
	library, err := FindLibrary("", false)
	if err != nil || library.Path != real || library.Origin != "user's cache" {
		t.Errorf("%+v (%v)", library, err)
	}
}

// The system's search path must not lead to the working folder, which one that is empty does not.
func TestSearchPathsThatLeadElsewhere(t *testing.T) {
	for value, sound := range map[string]bool{
		"": true, "/a": true, "/a:/b": true, "/a;/b": true, ":": false, "/a:": false, ":/a": false,
		"lib": false, "/a:./lib": false, "/a;lib": false,
	} {
		for _, variable := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
			t.Run(variable+"="+value, func(t *testing.T) {
				t.Setenv("LD_LIBRARY_PATH", "")
				t.Setenv(variable, value)
				err := searchesElsewhere()
				if sound != (err == nil) || err != nil && !strings.Contains(err.Error(), variable) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}
