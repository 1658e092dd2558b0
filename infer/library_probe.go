package infer

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// minimumAPI is the version of the C API that onnxruntime_go v1.27.0 speaks.
// ONNX Runtime 1.x serves the API versions up to x.
const minimumAPI = 24

// probeLibrary loads the onnxruntime library at path and returns its version.
// A path without a slash is searched for as the system's loader does.
//
// onnxruntime_go is not asked: after a failed load it points into a library
// that it has unloaded, and its GetVersion is then a crash. A program built without
// cgo loads nothing and returns ErrWithoutCgo.
func probeLibrary(path string) (version string, err error) {
	if strings.ContainsRune(path, filepath.Separator) {
		if err := checkLibraryFile(path); err != nil {
			return "", err
		}
	}
	if version, err = loadedVersion(path); err != nil {
		return "", err
	}
	return version, checkVersion(path, version)
}

func checkVersion(path, version string) error {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return fmt.Errorf("%s gives its version as %q, which is not one of onnxruntime's", path, version)
	}
	major, majorErr := strconv.Atoi(parts[0])
	minor, minorErr := strconv.Atoi(parts[1])
	if majorErr != nil || minorErr != nil {
		return fmt.Errorf("%s gives its version as %q, which is not one of onnxruntime's", path, version)
	}
	if major < 1 || major == 1 && minor < minimumAPI {
		return fmt.Errorf("%s is onnxruntime %s, too old: version 1.%d or newer is needed", path, version,
			minimumAPI)
	}
	return nil
}

// checkLibraryFile refuses the files that the loader answers with a signal
// instead of an error: it maps a truncated library and faults where the pages
// are missing.
func checkLibraryFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if runtime.GOOS == "darwin" {
		return nil // dyld checks the load commands against the file's size itself
	}
	file, err := elf.Open(path)
	if err != nil {
		var format *elf.FormatError
		if errors.As(err, &format) || info.Size() < 64 {
			return fmt.Errorf("%s is not a shared library (not an ELF file)", path)
		}
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	defer file.Close()
	if want := elfMachine(); want != elf.EM_NONE && file.Machine != want {
		return fmt.Errorf("%s is for another processor: %v, this one is %v", path, file.Machine, want)
	}
	if file.Type != elf.ET_DYN {
		return fmt.Errorf("%s is not a shared library (ELF type %v)", path, file.Type)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_LOAD && segment.Off+segment.Filesz > uint64(info.Size()) {
			return fmt.Errorf("%s is truncated: it has %d bytes, its segments need %d", path, info.Size(),
				segment.Off+segment.Filesz)
		}
	}
	return nil
}

func elfMachine() elf.Machine {
	switch runtime.GOARCH {
	case "amd64":
		return elf.EM_X86_64
	case "arm64":
		return elf.EM_AARCH64
	}
	return elf.EM_NONE
}
