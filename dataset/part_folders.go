package dataset

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// partFolders are the names of the folders that hold a part of a set of pictures, in
// the order in which they are looked for. They are written in any case.
func partFolders(part Part) []string {
	if part == Train {
		return []string{"train", "training"}
	}
	return []string{"test", "testing", "t10k", "val", "valid", "validation"}
}

// isFolderOf reports whether a folder of that name holds the part.
func isFolderOf(part Part, name string) bool {
	return slices.Contains(partFolders(part), strings.ToLower(name))
}

func isPartFolder(name string) bool { return isFolderOf(Train, name) || isFolderOf(Test, name) }

// folderOf returns the name of the part's folder among the names of dir's, and nothing
// where there is none.
func folderOf(dir string, part Part, names []string) (string, error) {
	for _, word := range partFolders(part) {
		var found []string
		for _, name := range names {
			if strings.EqualFold(name, word) {
				found = append(found, name)
			}
		}
		if len(found) > 1 {
			return "", fmt.Errorf("%s: %w: %s and %s are both its part %s; rename one of them, or remove it",
				dir, ErrAmbiguous, found[0], found[1], part)
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return "", nil
}

// pictureFolder finds the folder of class folders that a set's folder and part lead to.
// ok is false where the folder holds none. The part is empty for a folder whose class
// folders lie in it directly.
func pictureFolder(dir string, part Part, opts Options) (folder string, found Part, ok bool,
	err error) {
	names, err := subfolders(dir)
	if err != nil || len(names) == 0 {
		return "", "", false, err
	}
	train, err := folderOf(dir, Train, names)
	if err != nil {
		return "", "", false, err
	}
	test, err := folderOf(dir, Test, names)
	if err != nil {
		return "", "", false, err
	}
	// A class may be called train: parts are told by there being nothing else.
	other := slices.IndexFunc(names, func(name string) bool { return !isPartFolder(name) })
	if other >= 0 {
		if train != "" && test != "" && holdsClasses(filepath.Join(dir, train)) &&
			holdsClasses(filepath.Join(dir, test)) {
			return "", "", false, fmt.Errorf(
				"%s: %w: %s and %s have a folder for each class, and %s lies beside them; give %s, or move %s elsewhere",
				dir, ErrAmbiguous, train, test, names[other], filepath.Join(dir, train), names[other])
		}
		return dir, "", part == "" && holdsPictures(dir, names), nil
	}
	switch {
	case part != "":
	case train != "" && test != "" && opts.Part == "":
		return "", "", true, fmt.Errorf("%s: %w; say which: %s:%s or %s:%s", dir, ErrAmbiguous, dir,
			Train, dir, Test)
	case train != "" && test != "":
		part = opts.Part
	case train != "":
		part = Train
	default:
		part = Test
	}
	name := train
	if part == Test {
		name = test
	}
	if name == "" {
		return "", "", false, nil
	}
	folder = filepath.Join(dir, name)
	classes, err := subfolders(folder)
	return folder, part, err == nil && holdsPictures(folder, classes), err
}

// holdsClasses reports whether a folder has class folders with pictures.
func holdsClasses(folder string) bool {
	classes, err := subfolders(folder)
	return err == nil && holdsPictures(folder, classes)
}
