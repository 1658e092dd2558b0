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
)

// partFolders are the names of the folders that hold a part of a set of pictures, in
// the order in which they are looked for.
func partFolders(part Part) []string {
	if part == Train {
		return []string{"train", "training"}
	}
	return []string{"test", "t10k", "val", "valid", "validation"}
}

func isPartFolder(name string) bool {
	return slices.Contains(partFolders(Train), name) || slices.Contains(partFolders(Test), name)
}

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

// pictureFolder finds the folder of class folders that a set's folder and part lead to.
// ok is false where the folder holds none. The part is empty for a folder whose class
// folders lie in it directly.
func pictureFolder(dir string, part Part, opts Options) (folder string, found Part, ok bool, err error) {
	names, err := subfolders(dir)
	if err != nil || len(names) == 0 {
		return "", "", false, err
	}
	// A class may be called train: parts are told by there being nothing else.
	if slices.ContainsFunc(names, func(name string) bool { return !isPartFolder(name) }) {
		return dir, "", part == "" && holdsPictures(dir, names), nil
	}
	if part == "" {
		part = opts.Part
	}
	if part == "" {
		part = Train
		if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(partFolders(Train), name) }) {
			part = Test
		} else if len(names) > 1 {
			return "", "", true, fmt.Errorf("%s: %w; say which: %s:%s or %s:%s", dir, ErrAmbiguous, dir, Train, dir, Test)
		}
	}
	for _, name := range partFolders(part) {
		if slices.Contains(names, name) {
			folder := filepath.Join(dir, name)
			classes, err := subfolders(folder)
			return folder, part, err == nil && holdsPictures(folder, classes), err
		}
	}
	return "", "", false, nil
}

// holdsPictures reports whether one of the folder's class folders holds a picture, by
// what the first files of each begin with.
func holdsPictures(dir string, classes []string) bool {
	const tried = 20
	for _, class := range classes {
		left := tried
		found := errors.New("found")
		err := filepath.WalkDir(filepath.Join(dir, class), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || isJunk(entry.Name()) {
				return nil // what cannot be read is no picture
			}
			if left--; left < 0 {
				return fs.SkipAll
			}
			if picture.Format(firstBytes(path)) != "" {
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

// firstBytes are the first of a regular file, none of anything else.
func firstBytes(path string) []byte {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	begin := make([]byte, 32)
	n, _ := f.Read(begin)
	return begin[:n]
}

// isJunk reports names that systems leave among pictures.
func isJunk(name string) bool {
	return strings.HasPrefix(name, ".") || strings.EqualFold(name, "Thumbs.db") || strings.EqualFold(name, "desktop.ini")
}

// isNote reports names of what people put beside pictures: licences, lists, texts.
func isNote(name string) bool {
	base := strings.ToLower(name)
	for _, prefix := range []string{"license", "licence", "readme", "copying"} {
		if strings.HasPrefix(base, prefix) {
			return true
		}
	}
	return slices.Contains([]string{".csv", ".txt", ".md", ".json", ".xml", ".yaml", ".yml"}, filepath.Ext(base))
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
	files   []pictureFile
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
		return nil, fmt.Errorf("%s: %w: %d folders, one a class; at most %d are possible", dir, ErrArgument, len(classes), MaxClasses)
	}
	list := &pictureFiles{place: dir, classes: classes, licence: licenceIn(dir)}
	for label, class := range classes {
		before := len(list.files)
		if err := list.walk(dir, class, int32(label), make(map[string]bool)); err != nil {
			return nil, err
		}
		if len(list.files) == before {
			return nil, fmt.Errorf("%s: %w: the class %s has no pictures; put some into the folder, or remove it", dir, ErrEmpty, class)
		}
	}
	return list, nil
}

func (l *pictureFiles) walk(root, name string, label int32, seen map[string]bool) error {
	path := filepath.Join(root, filepath.FromSlash(name))
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if seen[real] {
		return nil
	}
	seen[real] = true
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
			l.pass(inner)
		case folder:
			if err := l.walk(root, inner, label, seen); err != nil {
				return err
			}
		default:
			l.files = append(l.files, pictureAt(whole, inner, label))
		}
	}
	return nil
}

// pictureAt is the picture in a file.
func pictureAt(path, name string, label int32) pictureFile {
	file := pictureFile{name: name, where: path, label: label, read: func() ([]byte, error) {
		return picture.ReadFile(path, picture.Options{})
	}}
	if info, err := os.Stat(path); err == nil {
		file.stamp = stampOf(info)
	}
	return file
}
