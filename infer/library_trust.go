package infer

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// pinnedText is what scripts/setup-onnxruntime brings: one file a line.
//
//go:embed onnxruntime.pins
var pinnedText string

// oldSums is a text that setup-onnxruntime left beside a library.
const oldSums = "SHA256SUMS"

// ErrNotPinned says that a library is none of those that this program knows the sha256 of.
var ErrNotPinned = errors.New("its sha256 is none of those that setup-onnxruntime brings")

// pin is a file that setup-onnxruntime brings.
type pin struct{ name, sum string }

// parsePins reads pins: nine fields a line, of which the first is the flavour, the second the
// platform, the third the source, the fifth the version and the last two the archive's member and
// its sha256.
func parsePins(text, platform string) []pin {
	var pins []pin
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 9 || strings.HasPrefix(line, "#") || fields[1] != platform {
			continue
		}
		name := fields[7][strings.LastIndexByte(fields[7], '/')+1:]
		if name == "libonnxruntime.so.1" {
			name = "libonnxruntime.so." + fields[4] // as the script names it
		}
		pins = append(pins, pin{name, fields[8]})
	}
	return pins
}

func thisPlatformsPins() []pin {
	return parsePins(pinnedText, runtime.GOOS+"-"+runtime.GOARCH)
}

// VerifyLibrary reads the library and every file beside it, any of which it may load, and
// compares their sha256 with those of what setup-onnxruntime brings, which this program holds.
// It returns an error that is ErrNotPinned where one is none of them. A library that the
// system's loader finds by its name cannot be read, and is not pinned.
func VerifyLibrary(library Library) error {
	return verifyLibrary(library.Path, thisPlatformsPins())
}

func verifyLibrary(path string, pins []pin) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: %w", path, ErrNotPinned)
	}
	folder := filepath.Dir(path)
	// The library asks for its own libraries in its folder first ($ORIGIN): whatever lies there
	// may be loaded.
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		file := filepath.Join(folder, name)
		if name == oldSums {
			continue
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf(
				"%s: %w: it is no file of its own; remove it, or name a library of your own with %s",
				file, ErrNotPinned, LibraryVariable)
		}
		sum, err := sha256Of(file)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(pins, func(p pin) bool { return p.name == name && p.sum == sum }) {
			return fmt.Errorf("%s: %w (it is %s): run `make setup`, which brings it again, or name "+
				"a library of your own with %s", file, ErrNotPinned, sum, LibraryVariable)
		}
	}
	return nil
}

func sha256Of(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// trusted returns the file that a path leads to, if nobody but root and who runs this program can
// put another one in its place: what is loaded runs as this program does. Every folder on the
// way to it counts, and the file itself.
func trusted(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// Links are followed once, and what they led to is what is loaded.
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	for place := real; ; place = filepath.Dir(place) {
		if err := ours(place, place == real); err != nil {
			return "", err
		}
		if place == filepath.Dir(place) {
			break
		}
	}
	return real, nil
}
