package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// explained says of a folder that is no set what it lacks to be one of pictures, where
// that can be seen; elsewhere err stays what it is.
func explained(dir string, part Part, err error) error {
	if !errors.Is(err, ErrUnknown) {
		return err
	}
	names, listErr := subfolders(dir)
	if listErr != nil {
		return err
	}
	if part != "" && slices.ContainsFunc(names, func(name string) bool {
		return !isPartFolder(name)
	}) && holdsClasses(dir) {
		return fmt.Errorf("%s: %w: it has no parts: its folders, such as %s, are its classes; give %s",
			dir, ErrUnknown, names[0], dir)
	}
	folders := []string{dir}
	for _, name := range names {
		if !isPartFolder(name) {
			continue
		}
		folder := filepath.Join(dir, name)
		other := part != "" && !isFolderOf(part, name)
		if other && holdsClasses(folder) {
			return fmt.Errorf("%s: %w: it has pictures in %s, and no folder of the part %s, such as %s",
				dir, ErrUnknown, name, part, partFolders(part)[0])
		}
		if !other {
			folders = append(folders, folder)
		}
	}
	for _, folder := range folders {
		if name := pictureIn(folder); name != "" {
			return fmt.Errorf(
				"%s: %w: pictures such as %s lie in no folder of their class; make a folder for each class, %s, or put a list labels.csv of names and labels beside them",
				folder, ErrUnknown, name, filepath.Join(folder, "CLASS", name))
		}
	}
	return err
}

// pictureIn returns the name of a picture that lies in the folder itself, empty where the
// first files are none.
func pictureIn(folder string) string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return ""
	}
	left := 20
	for _, entry := range entries {
		if entry.IsDir() || isJunk(entry.Name()) {
			continue
		}
		if left--; left < 0 {
			break
		}
		if isPicture(filepath.Join(folder, entry.Name())) {
			return entry.Name()
		}
	}
	return ""
}
