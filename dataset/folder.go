package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// ClassNamesFile is the file of a set's folder that names its classes, one a line, in
// the order of the labels.
const ClassNamesFile = "labels.txt"

// maxNotes is the most that is read of a file of names or of a licence, in bytes.
const maxNotes = 1 << 22

// ReadClassNames reads a file of class names, one a line, that of label 0 first.
// Blank lines at the end do not count; names are UTF-8, none empty or twice there.
func ReadClassNames(path string) ([]string, error) {
	text, err := readNotes(path)
	if err != nil {
		return nil, err
	}
	return parseClassNames(path, text)
}

// parseClassNames reads the class names in a text; path is what errors call it by.
func parseClassNames(path string, text []byte) ([]string, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s: %w: class names are UTF-8, one a line", path, ErrArgument)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var names []string
	lineOf := make(map[string]int)
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimRight(text, " \t\r\n")))
	for lines.Scan() {
		name := strings.TrimSpace(lines.Text())
		if name == "" {
			return nil, fmt.Errorf("%s: %w: line %d is blank; give every class a name", path, ErrArgument,
				len(names)+1)
		}
		if before, twice := lineOf[name]; twice {
			return nil, fmt.Errorf("%s: %w: lines %d and %d are both %q", path, ErrArgument, before,
				len(names)+1, name)
		}
		names = append(names, name)
		lineOf[name] = len(names)
		if len(names) > MaxClasses {
			return nil, fmt.Errorf("%s: %w: more than %d class names", path, ErrArgument, MaxClasses)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: class names: %w", path, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: %w: there are no class names in it", path, ErrArgument)
	}
	return names, nil
}

func readNotes(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file (%s)", path, info.Mode().Type())
	}
	if info.Size() > maxNotes {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d are read", path, ErrTooLarge, info.Size(),
			maxNotes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxNotes))
}

// WithClassNames returns the set with its classes named. There may be more names than
// labels that occur: the set has as many classes as names then.
func (s *Set) WithClassNames(names []string) (*Set, error) {
	if len(names) < s.Classes {
		return nil, fmt.Errorf("%s: %w: %d class names, but %s; give a name for each label from 0",
			s.Name, ErrArgument, len(names), s.LabelRange())
	}
	named := *s
	named.Classes, named.ClassNames = len(names), slices.Clone(names)
	return &named, nil
}

// withNotes adds what the set's folder says beside the images: the names of the
// classes, and the first line of a licence.
func (s *Set) withNotes(dir string, opts Options) (*Set, error) {
	s.Licence = licenceIn(dir)
	path := filepath.Join(dir, ClassNamesFile)
	if _, err := os.Stat(path); err != nil || opts.OwnNames {
		return s, nil
	}
	names, err := ReadClassNames(path)
	if err != nil {
		return nil, err
	}
	named, err := s.WithClassNames(names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (-labels takes another file)", path, err)
	}
	return named, nil
}

// licenceNames are the names of a set's licence file, the usual ones first.
func licenceNames() []string {
	return []string{"LICENSE", "LICENCE", "LICENSE.txt", "LICENCE.txt", "LICENSE.md", "LICENCE.md"}
}

func isLicence(name string) bool { return slices.Contains(licenceNames(), name) }

// licenceFrom is what stands between a licence and the name of the file that says it.
const licenceFrom = " (the set's file "

// licenceIn returns the first line of the folder's licence file that says anything,
// and the file's name; nothing where there is no such file.
func licenceIn(dir string) string {
	for _, name := range licenceNames() {
		text, err := readNotes(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if line := licenceLine(text, name); line != "" {
			return line
		}
	}
	return ""
}

// licenceLine returns the first line of a licence that says anything, and the file's name.
func licenceLine(text []byte, name string) string {
	if !utf8.Valid(text) {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.Trim(line, "# \t\r\n\ufeff"); line != "" {
			return fmt.Sprintf("%s%s%s)", line, licenceFrom, name)
		}
	}
	return ""
}

// placed records where the set is found from any working folder.
func (s *Set) placed(path, suffix string) *Set {
	s.Place = wholePath(path, suffix)
	return s
}

// wholePath is the path from any working folder, with the suffix; empty if it is unknown.
func wholePath(path, suffix string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	return whole + suffix
}
