package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/dataset/picture"
	"slipway/internal/display"
)

// subfolders lists the folders in a folder, links to folders included, in the order of
// their names. Hidden ones do not count.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if isJunk(entry.Name()) || entry.Name() == "__MACOSX" {
			continue
		}
		if leadsToFolder(filepath.Join(dir, entry.Name()), entry) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// leadsToFolder reports whether the entry at the path is a folder or a link to one.
func leadsToFolder(path string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.IsDir()
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// holdsPictures reports whether one of the folder's class folders holds a picture, by
// what the first files of each begin with.
func holdsPictures(dir string, classes []string) bool {
	const tried = 20
	for _, class := range classes {
		left := tried
		found := errors.New("found")
		err := filepath.WalkDir(filepath.Join(dir, class),
			func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() || isJunk(entry.Name()) {
					return nil // what cannot be read is no picture
				}
				if left--; left < 0 {
					return fs.SkipAll
				}
				if isPicture(path) {
					return found
				}
				return nil
			})
		if err == found {
			return true
		}
	}
	return false
}

// isPicture tells a picture by what its file begins with.
func isPicture(path string) bool { return picture.Format(beginningOf(path, 32)) != "" }

// isJunk reports names that systems leave among pictures.
func isJunk(name string) bool {
	return strings.HasPrefix(name, ".") || strings.EqualFold(name, "Thumbs.db") ||
		strings.EqualFold(name, "desktop.ini")
}

// isNote reports names of what people put beside pictures: licences, lists, texts.
func isNote(name string) bool {
	base := strings.ToLower(name)
	for _, prefix := range []string{"license", "licence", "readme", "copying"} {
		if strings.HasPrefix(base, prefix) {
			return true
		}
	}
	return slices.Contains([]string{".csv", ".txt", ".md", ".json", ".xml", ".yaml", ".yml"},
		filepath.Ext(base))
}

// PassedOver reports names of files and folders among pictures that are none, and do
// not count as damaged: what systems leave there, hidden files, lists and licences.
func PassedOver(name string) bool { return isJunk(name) || isNote(name) }

// pictureFile is one picture of a set, still encoded.
type pictureFile struct {
	name  string // within the set, with slashes
	where string // what errors call it by: its path, or its place in an archive
	label int32
	// read returns the file's bytes. It is safe for concurrent use, and its error says
	// which file it is.
	read func() ([]byte, error)
	// stamp changes when the file does; empty if that is not known.
	stamp string
}

// pictureFiles are all of a set, in its order.
type pictureFiles struct {
	// place is what errors call the set by: its folder or its file.
	place string
	// classes has a name for each label, and is empty where they are not known.
	classes []string
	// combinations are those of files with any number of labels, whose label is a place in it; nil
	// of others.
	combinations Combinations
	files        []pictureFile
	// passed is how many other files were passed over, passedNames what those are called
	// whose names are kept.
	passed      int
	passedNames []string
	licence     string
}

// pass counts a file that is passed over.
func (l *pictureFiles) pass(name string) {
	l.passed++
	l.passedNames = append(l.passedNames, name)
}

// listPictures lists a folder with a folder of pictures for each class, class by class,
// in the order of their names. Classes are called as their folders, as torchvision's
// ImageFolder has them. Links to folders are followed, each folder once a class.
func listPictures(dir string) (*pictureFiles, error) {
	classes, err := subfolders(dir)
	if err != nil {
		return nil, err
	}
	if len(classes) > MaxClasses {
		return nil, fmt.Errorf("%s: %w: %d folders, one a class; at most %d are possible", dir,
			ErrArgument, len(classes), MaxClasses)
	}
	list := &pictureFiles{place: dir, classes: classes, licence: licenceIn(dir)}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	for label, class := range classes {
		before := len(list.files)
		walk := classWalk{list: list, root: dir, real: real, label: int32(label),
			seen: make(map[string]bool)}
		if err := walk.folder(class); err != nil {
			return nil, err
		}
		if len(list.files) == before {
			return nil, fmt.Errorf(
				"%s: %w: the class %s has no pictures; put some into the folder, or remove it", dir, ErrEmpty,
				class)
		}
	}
	return list, nil
}

// classWalk lists the pictures of a class.
type classWalk struct {
	list *pictureFiles
	// root is the folder of all classes, real the same without links.
	root, real string
	label      int32
	seen       map[string]bool // folders, without links
}

// folder lists the pictures in the folder of that name, with slashes, below the root.
func (w *classWalk) folder(name string) error {
	path := filepath.Join(w.root, filepath.FromSlash(name))
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if below, err := filepath.Rel(real, w.real); err == nil && filepath.IsLocal(below) {
		return fmt.Errorf(
			"%s: the link leads back to %s, and each picture of the set into this class; remove it",
			display.Printable(path), real)
	}
	if w.seen[real] {
		return nil
	}
	w.seen[real] = true
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		inner := name + "/" + entry.Name()
		whole := filepath.Join(path, entry.Name())
		folder := leadsToFolder(whole, entry)
		switch {
		case isJunk(entry.Name()) || !folder && isNote(entry.Name()):
			w.list.pass(inner)
		case folder:
			if err := w.folder(inner); err != nil {
				return err
			}
		default:
			w.list.files = append(w.list.files, pictureAt(whole, inner, w.label))
		}
	}
	return nil
}

// pictureAt is the picture in a file.
func pictureAt(path, name string, label int32) pictureFile {
	file := pictureFile{name: name, where: display.Printable(path), label: label,
		read: func() ([]byte, error) {
			return readPicture(path)
		}}
	if info, err := os.Stat(path); err == nil {
		file.stamp = stampOf(info)
	}
	return file
}

// readPicture reads the file of a picture.
func readPicture(path string) ([]byte, error) {
	data, err := picture.ReadFile(path, picture.Options{})
	if err == nil {
		return data, nil
	}
	if _, statErr := os.Stat(path); statErr != nil {
		if info, linkErr := os.Lstat(path); linkErr == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf(
				"%s is a link that leads nowhere; remove it, or bring back what it led to: %w",
				display.Printable(path), statErr)
		}
	}
	return nil, err
}
