package infer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// LibraryVariable is the environment variable that names the onnxruntime
// library; it overrides the search.
const LibraryVariable = "ONNXRUNTIME_LIB"

// ErrWithoutCgo says that this program loads no shared library and so no onnxruntime.
var ErrWithoutCgo = errors.New(
	"this program was built without cgo, as one that needs no other file")

// A Library is an onnxruntime shared library that loads and is new enough.
type Library struct {
	// Path of the file, or the name that the system's loader knows it by.
	Path string
	// Version such as "1.32.0".
	Version string
	// Origin says how it was found.
	Origin string
	// CUDA says that the CUDA provider's library lies beside it.
	CUDA bool
}

// LibraryError says that no onnxruntime library can be used, and how to get one.
type LibraryError struct {
	// Reasons has one error for each place that had something unusable.
	Reasons []error
	// Searched are the places looked at, in words.
	Searched []string
}

func (e *LibraryError) Error() string {
	const remedy = "run `make setup` (scripts/setup-onnxruntime) or, for a program outside of Slipway's folder, " +
		"`scripts/setup-onnxruntime --user`; or set " +
		LibraryVariable + " to the library of onnxruntime 1.24 or newer"
	if errors.Is(errors.Join(e.Reasons...), ErrWithoutCgo) {
		const remedy = "use the native runtime (`infer -runtime native`, `export -verify native,onnx-go`), or a program built with cgo"
		return fmt.Sprintf("the onnxruntime library cannot be used: %v: %s", ErrWithoutCgo, remedy)
	}
	if len(e.Reasons) == 0 {
		return "the onnxruntime library was not found (looked in " +
			strings.Join(e.Searched, ", ") + "): " + remedy
	}
	return fmt.Sprintf("the onnxruntime library cannot be used: %v: %s", errors.Join(e.Reasons...),
		remedy)
}

func (e *LibraryError) Unwrap() []error { return e.Reasons }

// FindLibrary returns the first usable library of: explicit, if not empty; the
// file that ONNXRUNTIME_LIB names; .cache/onnxruntime of the project that holds
// the executable; the user's cache folder (slipway/onnxruntime); the system's loader.
// The first two are used or are an error, never passed over. From the folders nothing is
// loaded but what setup-onnxruntime brings, by its sha256, and nothing that another user
// could put there; the working folder is not looked at, since whoever made what
// lies in it may be anybody. preferCUDA puts builds with the CUDA provider first.
//
// The error is a *LibraryError.
func FindLibrary(explicit string, preferCUDA bool) (Library, error) {
	if err := canLoad(); err != nil {
		return Library{}, &LibraryError{Reasons: []error{err}}
	}
	for _, named := range []struct{ path, origin string }{
		{explicit, "as asked"},
		{os.Getenv(LibraryVariable), LibraryVariable},
	} {
		if named.path == "" {
			continue
		}
		path, err := filepath.Abs(named.path)
		if err != nil {
			return Library{}, &LibraryError{Reasons: []error{err}}
		}
		library, err := probeCandidate(path, named.origin)
		if err != nil {
			return Library{}, &LibraryError{Reasons: []error{fmt.Errorf("%s: %w", named.origin, err)}}
		}
		return library, nil
	}

	folders := cacheFolders()
	failure, pins := new(LibraryError), thisPlatformsPins()
	for _, folder := range folders {
		failure.Searched = append(failure.Searched, folder.path)
		for _, path := range librariesIn(folder.path, preferCUDA) {
			library, err := probePinned(path, folder.origin, pins)
			if err == nil {
				return library, nil
			}
			failure.Reasons = append(failure.Reasons, err)
		}
	}
	if err := searchesElsewhere(); err != nil {
		failure.Reasons = append(failure.Reasons, err)
		return Library{}, failure
	}
	for _, name := range systemNames() {
		failure.Searched = append(failure.Searched, "the system's "+name)
		library, err := probeCandidate(name, "system")
		if err == nil {
			return library, nil
		}
		// A system without onnxruntime is the usual case and no reason; one that
		// has an unusable one is.
		if !strings.Contains(err.Error(), "cannot be loaded") {
			failure.Reasons = append(failure.Reasons, err)
		}
	}
	return Library{}, failure
}

func probeCandidate(path, origin string) (Library, error) {
	version, err := probeLibrary(path)
	if err != nil {
		return Library{}, err
	}
	return Library{Path: path, Version: version, Origin: origin, CUDA: hasCUDAProvider(path)}, nil
}

func hasCUDAProvider(path string) bool {
	info, err := os.Stat(filepath.Join(filepath.Dir(path), "libonnxruntime_providers_cuda.so"))
	return err == nil && info.Mode().IsRegular()
}

// probePinned loads a library that is one of the pins and that nobody else can replace.
func probePinned(path, origin string, pins []pin) (Library, error) {
	real, err := trusted(path)
	if err == nil {
		err = verifyLibrary(real, pins)
	}
	if err != nil {
		return Library{}, fmt.Errorf("nothing is loaded from %s: %w", filepath.Dir(path), err)
	}
	// What was looked at is what is loaded: a link's own folder may hold anything.
	return probeCandidate(real, origin)
}

// cacheFolder is a folder where setup-onnxruntime puts libraries.
type cacheFolder struct{ path, origin string }

// cacheFolders are those of the project, if the executable lies in it or in its bin/, and of the
// user.
func cacheFolders() []cacheFolder {
	var folders []cacheFolder
	if executable, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(executable); err == nil {
			executable = real
		}
		dir := filepath.Dir(executable)
		for _, project := range []string{dir, filepath.Dir(dir)} {
			folders = append(folders, cacheFolder{filepath.Join(project, ".cache", "onnxruntime"),
				"project of the executable"})
		}
	}
	if cache, err := os.UserCacheDir(); err == nil {
		folders = append(folders,
			cacheFolder{filepath.Join(cache, "slipway", "onnxruntime"), "user's cache"})
	}
	return folders
}

// librariesIn lists <folder>/<version>/<os>-<arch>[-cuda]/lib/libonnxruntime.*,
// the newest first.
func librariesIn(folder string, preferCUDA bool) []string {
	platform := runtime.GOOS + "-" + runtime.GOARCH
	suffixes := []string{"", "-cuda"}
	if preferCUDA {
		slices.Reverse(suffixes)
	}
	var all []string
	for _, suffix := range suffixes {
		var found []string
		for _, pattern := range []string{"libonnxruntime.so*", "libonnxruntime*.dylib"} {
			// Relative to the folder, so that brackets in its name are no pattern;
			// the pattern itself is sound, which leaves Glob no error to return.
			matches, _ := fs.Glob(os.DirFS(folder), "*/"+platform+suffix+"/lib/"+pattern)
			found = append(found, matches...)
		}
		slices.SortFunc(found, func(a, b string) int {
			return slices.Compare(versionOf(b), versionOf(a))
		})
		for _, relative := range found {
			all = append(all, filepath.Join(folder, filepath.FromSlash(relative)))
		}
	}
	return all
}

// versionOf returns the numbers of the version folder that relative begins with.
func versionOf(relative string) []int {
	var numbers []int
	version, _, _ := strings.Cut(relative, "/")
	for part := range strings.SplitSeq(version, ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			return numbers
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// searchesElsewhere reports an element of the system's search path that stands for the working
// folder, or one below it: whoever made what lies there may be anybody.
func searchesElsewhere() error {
	for _, variable := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		value, ok := os.LookupEnv(variable)
		if !ok || value == "" {
			continue
		}
		for _, folder := range strings.Split(strings.ReplaceAll(value, ";", ":"), ":") {
			if !filepath.IsAbs(folder) {
				return fmt.Errorf(
					"%s=%q has an element that stands for the working folder, so the system's library is not "+
						"looked for; take it out, or name the file with %s", variable, value, LibraryVariable)
			}
		}
	}
	return nil
}

func systemNames() []string {
	if runtime.GOOS == "darwin" {
		return []string{"libonnxruntime.dylib"}
	}
	return []string{"libonnxruntime.so", "libonnxruntime.so.1"}
}
