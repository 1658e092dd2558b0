package serve

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// extension is that of models, and modelFile the name of a version's.
const (
	extension = ".onnx"
	modelFile = "model.onnx"
)

// loneVersion is the version of a model that is a file of its own.
const loneVersion = "1"

// key names one version of a model.
type key struct{ name, number string }

// A place is where a version of a model lies.
type place struct {
	key
	path string
	// named says that the file itself was named, and did not just lie in a folder.
	named bool
}

// scan looks for models. errs are of what it could not look at, of which nothing is known; wrong of
// files that cannot be asked about: their name is no text, or they are a version of a model that
// another one is already.
func scan(operands []string) (places []place, errs, wrong []error) {
	for _, operand := range operands {
		info, err := os.Stat(operand)
		switch {
		case err != nil:
			errs = append(errs, err)
		case info.IsDir():
			found, err := scanFolder(operand)
			if err != nil {
				errs = append(errs, err)
			}
			places = append(places, found...)
		case !info.Mode().IsRegular():
			errs = append(errs, fmt.Errorf("%s is neither a file nor a folder", operand))
		default:
			places = append(places, place{key{strings.TrimSuffix(filepath.Base(operand), extension),
				loneVersion}, operand, true})
		}
	}
	seen := make(map[key]string)
	var once []place
	for _, p := range places {
		other, ok := seen[p.key]
		switch {
		case !utf8.ValidString(p.name):
			wrong = append(wrong, fmt.Errorf("%q: the name is no UTF-8, and no model can be asked by it", p.path))
		case !ok:
			seen[p.key] = p.path
			once = append(once, p)
		case filepath.Clean(other) != filepath.Clean(p.path):
			wrong = append(wrong, fmt.Errorf("%s and %s are both version %s of the model %q: "+
				"the first is served", other, p.path, p.number, p.name))
		}
	}
	return once, errs, wrong
}

// scanFolder finds NAME.onnx and NAME/VERSION/model.onnx.
func scanFolder(folder string) ([]place, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var places []place
	var errs []error
	for _, entry := range entries {
		name, path := entry.Name(), filepath.Join(folder, entry.Name())
		info, err := os.Stat(path) // behind a link, too
		switch {
		case strings.HasPrefix(name, "."):
		case errors.Is(err, fs.ErrNotExist): // it has just gone, or its link leads nowhere
		case err != nil:
			errs = append(errs, err)
		case info.Mode().IsRegular() && strings.HasSuffix(name, extension) && name != extension:
			places = append(places, place{key{strings.TrimSuffix(name, extension), loneVersion}, path,
				false})
		case info.IsDir():
			versions, err := scanVersions(path, name)
			if err != nil {
				errs = append(errs, err)
			}
			places = append(places, versions...)
		}
	}
	return places, errors.Join(errs...)
}

func scanVersions(folder, name string) ([]place, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var places []place
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name(), modelFile)
		if !isVersion(entry.Name()) {
			continue
		}
		switch info, err := os.Stat(path); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return places, err
		case info.Mode().IsRegular():
			places = append(places, place{key{name, entry.Name()}, path, false})
		}
	}
	return places, nil
}

// isVersion reports whether a folder's name is a version: a whole number from 1, without zeros in
// front, so that no two names are one version.
func isVersion(name string) bool {
	const longest = 18 // digits of an int64
	if name == "" || len(name) > longest || name[0] == '0' {
		return false
	}
	return strings.Trim(name, "0123456789") == ""
}

// newer reports whether version a is higher than b.
func newer(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

// files are those that a model is read from: its own and, where it has a folder, all beside it,
// since tensors may lie in files of their own.
func (p place) files() ([]os.FileInfo, error) {
	if filepath.Base(p.path) != modelFile {
		info, err := os.Stat(p.path)
		return []os.FileInfo{info}, err
	}
	entries, err := os.ReadDir(filepath.Dir(p.path))
	if err != nil {
		return nil, err
	}
	var files []os.FileInfo
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(filepath.Dir(p.path), entry.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has just gone, or its link leads nowhere
		case err != nil:
			return nil, err
		case info.Mode().IsRegular():
			files = append(files, info)
		}
	}
	return files, nil
}

// sameFiles reports whether two looks saw the same files, unchanged as far as their size, their
// time and their identity tell.
func sameFiles(a, b []os.FileInfo) bool {
	if len(a) != len(b) || a == nil {
		return false
	}
	for i := range a {
		if a[i].Name() != b[i].Name() || a[i].Size() != b[i].Size() ||
			!a[i].ModTime().Equal(b[i].ModTime()) || !os.SameFile(a[i], b[i]) {
			return false
		}
	}
	return true
}

// digest is the sha256 of what the files hold, in their order.
func (p place) digest(files []os.FileInfo) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	for _, info := range files {
		fmt.Fprintf(hash, "%q %d\n", info.Name(), info.Size())
		if err := hashFile(hash, filepath.Join(filepath.Dir(p.path), info.Name())); err != nil {
			return sum, err
		}
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}

func hashFile(hash io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(hash, file)
	return err
}
