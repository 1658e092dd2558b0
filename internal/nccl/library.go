//go:build gpu && linux && amd64

package nccl

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "ncclshim.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"
)

// fileName is that of NCCL's major version 2.
const fileName = "libnccl.so.2"

// Library is the NCCL that is loaded.
type Library struct {
	// Version is such as 2.28.9, and File where it is.
	Version, File string
}

func (l Library) String() string { return fmt.Sprintf("%s (%s)", l.Version, l.File) }

// loaded loads a library once a process: it cannot be unloaded, and takes half a second.
var loaded = sync.OnceValues(load)

// Find loads the library, and joins nobody. Its error says what was looked for and what to do.
func Find() (Library, error) { return loaded() }

func load() (Library, error) {
	var reasons []string
	for _, file := range files(os.Getenv) {
		path, err := loadFile(file)
		if err == nil {
			version, err := version()
			return Library{Version: version, File: path}, err
		}
		reasons = append(reasons, err.Error())
	}
	return Library{}, fmt.Errorf("no NCCL can be loaded, by which GPUs of several ranks exchange: "+
		"%s; install NVIDIA's NCCL 2 (the Python package nvidia-nccl-cu13 has it in nvidia/nccl/lib, "+
		"and so has scripts/setup-cuda --nccl), or name its file with %s",
		strings.Join(reasons, "; "), LibraryVariable)
}

// files returns those to try, in order: what was named alone, or what the loader finds, what lies
// beside CUDA, and what Python's packages bring, which PyTorch depends on.
func files(getenv func(string) string) []string {
	if own := getenv(LibraryVariable); own != "" {
		return []string{own}
	}
	all := []string{fileName}
	patterns := []string{"/usr/local/cuda/lib64"}
	packages := func(root, python string) {
		patterns = append(patterns, filepath.Join(root, python, "nvidia", "nccl", "lib"))
	}
	for _, root := range []struct{ variable, below string }{
		{"VIRTUAL_ENV", ""}, {"CONDA_PREFIX", ""}, {"PYTHONUSERBASE", ""}, {"HOME", ".local"},
	} {
		if folder := getenv(root.variable); filepath.IsAbs(folder) {
			packages(filepath.Join(folder, root.below), "lib/python3*/site-packages")
		}
	}
	for _, python := range []string{"local/lib/python3*/site-packages",
		"local/lib/python3*/dist-packages", "lib/python3*/site-packages", "lib/python3/dist-packages"} {
		packages("/usr", python)
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(filepath.Join(pattern, fileName)) // the patterns are good ones
		all = append(all, found...)
	}
	return all
}

// loadFile loads a file, and returns its path.
func loadFile(file string) (string, error) {
	name := C.CString(file)
	defer C.free(unsafe.Pointer(name))
	var reason [1024]C.char
	var path [4096]C.char
	if C.slipway_nccl_load(name, &reason[0], C.int(len(reason)), &path[0], C.int(len(path))) != 0 {
		return "", errors.New(C.GoString(&reason[0]))
	}
	return C.GoString(&path[0]), nil
}

func version() (string, error) {
	var number C.int
	if err := check("ncclGetVersion", C.slipway_nccl_version(&number)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%d.%d", number/10000, number/100%100, number%100), nil
}

// Error is a call of NCCL's that failed.
type Error struct {
	Call string
	// Code is the library's number, Text what it says of it, and Detail what it says of the case.
	Code         int
	Text, Detail string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s (%d)", e.Call, e.Text, e.Code)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text + "; NCCL_DEBUG=WARN has it say more"
}

// check is the error of a call's result, nil if it succeeded.
func check(call string, result C.int) error {
	if result == 0 {
		return nil
	}
	return &Error{Call: call, Code: int(result), Text: C.GoString(C.slipway_nccl_error(result)),
		Detail: strings.TrimSpace(C.GoString(C.slipway_nccl_last_error()))}
}
