package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxList is the largest list of names and labels that is read, in bytes: some ten
// million lines.
const maxList = 1 << 29

// listed is a line of a list.
type listed struct {
	name, label string
	line        int
	labels      []string // of a list with any number of labels a picture
}

// labelList is a list of names and labels.
type labelList struct {
	lines []listed
	// multiLabel says that a picture has any number of labels; titles are those of the columns of 0
	// and 1, nil where a column has the labels.
	multiLabel bool
	titles     []string
}

// isList reports whether a file is called as lists of names and labels are.
func isList(name string) bool { return hasSuffix(name, ".csv", ".tsv") }

// readList reads a file of names and labels: values parted by commas, semicolons or tabs,
// with a first line that names the columns, or without where there are two. With a first line that
// names none of labels, the other columns are labels of their own. ok is false
// where it is no such list, whatever else it may be.
func readList(path string, opts Options) (list *labelList, ok bool, err error) {
	text, err := readListText(path)
	if err != nil {
		return nil, true, err
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comma, reader.FieldsPerRecord, reader.ReuseRecord = separatorOf(text), -1, true
	first, err := reader.Read()
	if errors.Is(err, io.EOF) {
		err = ErrEmpty
	}
	if err != nil { // no list at all, unless its name says that it is one
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	names, labels, header := columnsOf(first)
	if names >= 0 && labels < 0 && len(first) > 2 {
		return readLabelColumns(path, reader, first, names, opts)
	}
	list = &labelList{multiLabel: opts.MultiLabel}
	columns := len(first)
	rest := restOf(first, names, labels, header && list.multiLabel)
	if !header {
		if names, labels, ok = columnsWithout(first); !ok {
			return nil, false, nil
		}
	}
	for record := first; ; {
		line, _ := reader.FieldPos(0)
		if header { // that of the columns' names
			header = false
		} else if list.multiLabel && len(record) != columns {
			return nil, true, fmt.Errorf("%s, line %d: %w: %d values, the first line has %d; put quotes "+
				"around what has a %c in it", path, line, ErrArgument, len(record), columns, reader.Comma)
		} else if row, err := lineOf(record, names, labels, line, opts); err != nil {
			return nil, true, fmt.Errorf("%s, line %d: %w", path, line, err)
		} else {
			list.lines = append(list.lines, row)
			rest = keepBinary(rest, record)
		}
		if record, err = reader.Read(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, true, fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(list.lines) == 0 {
		return nil, true, fmt.Errorf("%s: %w: it has a line of column names and no other", path,
			ErrEmpty)
	}
	if len(rest) > 0 {
		return nil, true, fmt.Errorf(
			"%s: %w: the column %q is of 0 and 1, as labels of several are written, and "+
				"there is a column of labels, too: remove that, or all such columns", path, ErrArgument,
			rest[0].title)
	}
	return list, true, list.partLabels(path, opts)
}

// readListText reads the file as UTF-8.
func readListText(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxList {
		return nil, fmt.Errorf("%s: %w: a list is an ordinary file of at most %d bytes, this has %d",
			path, ErrTooLarge, maxList, info.Size())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxList))
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, fmt.Errorf("%s: %w: it is no UTF-8 text; save the list as UTF-8", path,
			ErrArgument)
	}
	return text, nil
}

// pictureExtensions are those of the formats that package picture reads.
func pictureExtensions() []string {
	return []string{".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
}

func isPictureName(name string) bool {
	return hasSuffix(strings.TrimSpace(name), pictureExtensions()...)
}

// lineOf takes the name and the label out of a line.
func lineOf(record []string, names, labels, line int, opts Options) (listed, error) {
	if len(record) <= max(names, labels) {
		return listed{}, fmt.Errorf("%w: %d values; the columns of names and labels are %d and %d",
			ErrArgument, len(record), names+1, labels+1)
	}
	// Strings of one line share its memory.
	name, label := strings.TrimSpace(record[names]), strings.TrimSpace(record[labels])
	row := listed{name: strings.Clone(name), label: strings.Clone(label), line: line}
	if row.label == "" && row.name != "" && !opts.MultiLabel {
		return row, fmt.Errorf("%w: no label of %s; give it one, or remove the line "+
			"(-multi-label takes pictures without any)", ErrArgument, row.name)
	}
	return row, row.checkName()
}

// checkName puts the name into the form of this system, and refuses one that is none.
func (row *listed) checkName() error {
	if row.name == "" {
		return fmt.Errorf("%w: no file's name", ErrArgument)
	}
	if !strings.Contains(row.name, "/") { // as Windows writes paths
		row.name = strings.ReplaceAll(row.name, `\`, "/")
	}
	if !filepath.IsLocal(filepath.FromSlash(row.name)) || strings.Contains(row.name, ":") {
		return fmt.Errorf("%w: the name %q leads out of the list's folder; write names "+
			"within it",
			ErrArgument, row.name)
	}
	return nil
}

// findListFile finds the pictures that a list names.
func findListFile(path string, part Part, opts Options) (*picturePlace, error) {
	if !isList(path) || part != "" {
		return nil, nil
	}
	read, ok, err := readList(path, opts)
	if !ok {
		return nil, refuseUntitled(path)
	}
	if err != nil {
		return nil, err
	}
	list, err := listNamed(path, read, opts)
	if err != nil {
		return nil, err
	}
	return &picturePlace{list, path, ""}, nil
}

// findList finds a folder's list of names and labels: the only one, or one for each part.
// A folder with a folder for each class is none, whatever lists lie in it.
func findList(dir string, part Part, opts Options) (*picturePlace, error) {
	paths, err := filesWith(dir, isList)
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	read := make(map[string]*labelList)
	var broken, brokenPart error
	for _, path := range paths {
		list, ok, err := readList(path, opts)
		switch {
		case err != nil && isPart(path):
			brokenPart = err
		case err != nil && ok:
			broken = err
		case ok:
			read[path] = list
		}
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return read[path] == nil })
	if holds, err := classFoldersGoFirst(dir, paths, read); holds || err != nil {
		return nil, err
	}
	if archives, _ := filesWith(dir, isArchiveName); brokenPart != nil && len(archives) == 0 {
		// Without it the other part would be taken for the set.
		return nil, brokenPart
	}
	if len(paths) == 0 {
		if archives, _ := filesWith(dir, isArchiveName); len(archives) > 0 {
			broken = nil // those are the set
		}
		return nil, broken
	}
	parts, rest := parted(paths, pathWord)
	if len(parts) == 0 && len(rest) == 1 && part == "" {
		list, err := listNamed(rest[0], read[rest[0]], opts)
		return &picturePlace{list, dir, ""}, err
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s: %w: %s are lists of names and labels; give one of them, or "+
			"call them train.csv and test.csv",
			dir, ErrAmbiguous, strings.Join(bases(rest), ", "))
	}
	has := func(p Part) bool { return len(parts[p]) > 0 }
	if part, err = choosePart(dir, part, opts, has); err != nil {
		return nil, err
	}
	if chosen := parts[part]; len(chosen) > 1 {
		return nil, fmt.Errorf("%s: %w: %s are lists of one part; give one of them",
			dir, ErrAmbiguous, strings.Join(bases(chosen), ", "))
	}
	path := parts[part][0]
	list, err := listNamed(path, read[path], opts)
	return &picturePlace{list, dir, suffixOf(part)}, err
}

// isPart reports whether a list is called as one of a part is: train.csv, test.csv.
func isPart(path string) bool {
	parts, _ := parted([]string{path}, pathWord)
	return len(parts) > 0
}

func bases(paths []string) []string {
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// classFoldersGoFirst reports whether the folder's subfolders are its classes and its
// lists only say so again: there are several with pictures, and no list has all its
// pictures in one of them.
func classFoldersGoFirst(dir string, paths []string, read map[string]*labelList) (bool, error) {
	for _, part := range []Part{Train, Test} {
		folder, _, ok, err := pictureFolder(dir, part, Options{})
		if err != nil {
			return false, err
		}
		if classes, _ := subfolders(folder); ok && folder != dir && len(classes) > 1 {
			return true, nil // train/ant/1.jpg
		}
	}
	folder, _, ok, err := pictureFolder(dir, "", Options{Part: Train})
	if err != nil || !ok {
		return false, err
	}
	classes, err := subfolders(folder)
	if err != nil || len(classes) < 2 {
		return false, err
	}
	for _, path := range paths {
		finder := newNameFinder(path)
		in := make(map[string]bool)
		for _, line := range read[path].lines {
			if file, err := finder.find(line.name); err == nil {
				in[filepath.Dir(file)] = true
			}
			if len(in) > 1 {
				break
			}
		}
		if len(in) == 1 {
			return false, nil
		}
	}
	return true, nil
}

// listNamed lists the pictures that a list names, in its order. A line whose picture is
// not there is a picture that cannot be read.
func listNamed(path string, read *labelList, opts Options) (*pictureFiles, error) {
	lines := read.lines
	dir := filepath.Dir(path)
	list := &pictureFiles{place: path}
	finder := newNameFinder(path)
	lineOf := make(map[string]int, len(lines))
	texts, several := make([]string, 0, len(lines)), make([][]string, 0, len(lines))
	missing := 0
	var lost error
	for _, line := range lines {
		where := fmt.Sprintf("%s, line %d", path, line.line)
		file, err := finder.find(line.name)
		entry := pictureFile{name: line.name, where: where}
		if errors.Is(err, ErrAmbiguous) {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if err != nil {
			lost = fmt.Errorf("%s: %w", where, err)
			gone := lost
			missing++
			entry.read = func() ([]byte, error) { return nil, gone }
			file = line.name
		} else {
			if relative, err := filepath.Rel(dir, file); err == nil {
				entry.name = filepath.ToSlash(relative)
			}
			entry = pictureAt(file, entry.name, 0)
		}
		if before, twice := lineOf[file]; twice {
			return nil, fmt.Errorf("%s: %w: lines %d and %d are both of %s; a picture has one "+
				"line and one label",
				path, ErrArgument, before, line.line, line.name)
		}
		lineOf[file] = line.line
		list.files, texts = append(list.files, entry), append(texts, line.label)
		several = append(several, line.labels)
	}
	if missing == len(lines) {
		return nil, fmt.Errorf("%w; nor is any other of its %s there: put the pictures beside "+
			"the list, or into a folder beside it",
			lost, counted(len(lines), "picture", "pictures"))
	}
	set := func() error { return list.setLabels(texts) }
	if read.multiLabel {
		set = func() error { return list.setLabelSets(read.titles, several) }
	}
	if err := set(); err != nil {
		return nil, err
	}
	if others := finder.unnamed(lineOf); others > 0 {
		opts.say("%s: %s beside its own, without a label in it, not taken", path, counted(others,
			"picture", "pictures"))
	}
	return list, list.withNamesIn(dir, opts)
}
