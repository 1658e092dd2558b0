package infer

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SumsName is the file that setup-onnxruntime leaves beside a library: the
// pinned sha256 of each of its files, as sha256sum writes them.
const SumsName = "SHA256SUMS"

// ErrNoSums says that there are no sums to verify a library with.
var ErrNoSums = errors.New("no " + SumsName + " beside it: it was not brought by setup-onnxruntime")

// VerifyLibrary compares the library and the files that came with it with the
// sums beside it. It returns ErrNoSums where there are none.
func VerifyLibrary(library Library) error {
	folder := filepath.Dir(library.Path)
	sums, err := os.Open(filepath.Join(folder, SumsName))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoSums
	}
	if err != nil {
		return err
	}
	defer sums.Close()
	covered := false
	lines := bufio.NewScanner(sums)
	for lines.Scan() {
		want, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || filepath.Base(name) != name {
			return fmt.Errorf("%s: %q is no line of sha256sum", sums.Name(), lines.Text())
		}
		path := filepath.Join(folder, name)
		got, err := sha256Of(path)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is damaged: its sha256 is %s, pinned is %s", path, got, want)
		}
		covered = covered || path == filepath.Clean(library.Path)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", sums.Name(), err)
	}
	if !covered {
		return ErrNoSums
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
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
