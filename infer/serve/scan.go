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
	"syscall"
	"unicode/utf8"

	"slipway/onnx"
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

// A fault is something that was found and is no model to serve.
type fault struct {
	err error
	// path is what could not be looked at: nobody knows what is there and below it. It is "" for what
	// is known, and is no model.
	path string
	// named says that it is of what was named, and did not just lie in a folder.
	named bool
}

// scan looks for models. Of several that are one version of a model the one that is served now
// stays, and else it is the first. A fault of one entry of a folder is of that entry alone.
func scan(operands []string, served func(key) string) (places []place, faults []fault) {
	for _, operand := range operands {
		info, err := os.Stat(operand)
		switch {
		case err != nil:
			faults = append(faults, fault{err, operand, true})
		case info.IsDir():
			found, wrong := scanFolder(operand)
			places, faults = append(places, found...), append(faults, wrong...)
		case !info.Mode().IsRegular():
			faults = append(faults, fault{fmt.Errorf("%s is neither a file nor a folder", operand), operand,
				true})
		default:
			places = append(places, place{key{strings.TrimSuffix(filepath.Base(operand), extension),
				loneVersion}, operand, true})
		}
	}
	once, wrong := distinct(places, served)
	return once, append(faults, wrong...)
}

// distinct chooses one place of each version of a model.
func distinct(places []place, served func(key) string) (once []place, faults []fault) {
	chosen := make(map[key]int)
	for _, p := range places {
		if !utf8.ValidString(p.name) {
			faults = append(faults,
				fault{fmt.Errorf("%q: the name is no UTF-8, and no model can be asked by it", p.path), "",
					p.named})
			continue
		}
		at, ok := chosen[p.key]
		if !ok {
			chosen[p.key] = len(once)
			once = append(once, p)
			continue
		}
		first := once[at]
		if filepath.Clean(first.path) == filepath.Clean(p.path) {
			continue
		}
		if served(p.key) == p.path {
			once[at], p = p, first
		}
		faults = append(faults,
			fault{fmt.Errorf("%s and %s are both version %s of the model %q: the first "+
				"is served", once[at].path, p.path, p.number, p.name), "", first.named || p.named})
	}
	return once, faults
}

// scanFolder finds NAME.onnx and NAME/VERSION/model.onnx.
func scanFolder(folder string) (places []place, faults []fault) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, []fault{{err, folder, true}}
	}
	for _, entry := range entries {
		name, path := entry.Name(), filepath.Join(folder, entry.Name())
		if strings.HasPrefix(name, ".") {
			continue
		}
		info, err := os.Stat(path) // behind a link, too
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has just gone, or its link leads nowhere
		case err != nil:
			faults = append(faults, fault{err, path, false})
		case info.Mode().IsRegular() && strings.HasSuffix(name, extension) && name != extension:
			places = append(places, place{key{strings.TrimSuffix(name, extension), loneVersion}, path,
				false})
		case info.IsDir():
			versions, wrong := scanVersions(path, name)
			places, faults = append(places, versions...), append(faults, wrong...)
		}
	}
	return places, faults
}

func scanVersions(folder, name string) (places []place, faults []fault) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, []fault{{err, folder, false}}
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name(), modelFile)
		if !isVersion(entry.Name()) {
			continue
		}
		switch info, err := os.Stat(path); {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // or a file has the name
		case err != nil:
			faults = append(faults, fault{err, path, false})
		case info.Mode().IsRegular():
			places = append(places, place{key{name, entry.Name()}, path, false})
		}
	}
	return places, faults
}

// hides reports whether a path is, or lies below, what could not be looked at.
func (f fault) hides(path string) bool {
	if f.path == "" {
		return false
	}
	below, err := filepath.Rel(f.path, path)
	return err == nil && filepath.IsLocal(below)
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

// A file is one that a model is read from, as a look saw it.
type file struct {
	path string
	os.FileInfo
}

// A reading is what is known of the files that a model is read from: its own, and those that it
// says its tensors lie in. What else lies beside it is none of its.
type reading struct {
	model []file // its own, nil before the first look
	// external are the names of the others, once known says so.
	external []string
	known    bool
}

// files looks at the files of the model at a path. The model is read for the names of the others
// where it has not changed since the last look, or at once.
func (r *reading) files(path string, atOnce bool) ([]file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []file{{path, info}}
	if !sameFiles(files, r.model) {
		*r = reading{model: files}
		if !atOnce {
			return files, nil
		}
	}
	if !r.known {
		// What is no model has no other files, and is told of when it is loaded.
		r.external, _ = onnx.ExternalFiles(path)
		r.known = true
	}
	for _, name := range r.external {
		other := filepath.Join(filepath.Dir(path), filepath.FromSlash(name))
		// One that is missing is told of when the model is loaded, and is a change once it comes.
		if info, err := os.Stat(other); err == nil && info.Mode().IsRegular() {
			files = append(files, file{other, info})
		}
	}
	return files, nil
}

// sameFiles reports whether two looks saw the same files, unchanged as far as their size, their
// time and their identity tell.
func sameFiles(a, b []file) bool {
	if len(a) != len(b) || a == nil {
		return false
	}
	for i := range a {
		if a[i].path != b[i].path || a[i].Size() != b[i].Size() ||
			!a[i].ModTime().Equal(b[i].ModTime()) || !os.SameFile(a[i].FileInfo, b[i].FileInfo) {
			return false
		}
	}
	return true
}

// digest is the sha256 of what the files hold, in their order.
func digest(files []file) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	for _, f := range files {
		fmt.Fprintf(hash, "%q %d\n", f.Name(), f.Size())
		if err := hashFile(hash, f.path); err != nil {
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
