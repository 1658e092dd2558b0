package dataset

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

func isParquetName(name string) bool { return hasSuffix(name, ".parquet") }

// findParquetFile finds the pictures in a Parquet file.
func findParquetFile(file string, part Part, opts Options) (*picturePlace, error) {
	if string(beginningOf(file, 4)) != "PAR1" && !isParquetName(file) || part != "" {
		return nil, nil
	}
	list, err := listParquet(file, []string{file}, opts)
	if err != nil {
		return nil, err
	}
	return &picturePlace{list, file, ""}, nil
}

// findParquet finds the pictures in a folder's Parquet files, or in those of the folder
// data in it, where Hugging Face has them: all of them, or those of a part.
func findParquet(dir string, part Part, opts Options) (*picturePlace, error) {
	files, err := filesWith(dir, isParquetName)
	if err == nil && len(files) == 0 {
		files, _ = filesWith(filepath.Join(dir, "data"), isParquetName) // there may be none
	}
	if err != nil || len(files) == 0 {
		return nil, err
	}
	parts, rest := parted(files, pathWord)
	if len(parts) == 0 {
		if part != "" {
			return nil, fmt.Errorf("%s: %w: it has no part %s", dir, ErrUnknown, part)
		}
		list, err := listParquet(dir, files, opts)
		return &picturePlace{list, dir, ""}, err
	}
	has := func(p Part) bool { return len(parts[p]) > 0 }
	if part, err = choosePart(dir, part, opts, has); err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		opts.say("%s: not of a part, and not taken: %s", dir, strings.Join(bases(rest), ", "))
	}
	list, err := listParquet(dir, parts[part], opts)
	return &picturePlace{list, dir, suffixOf(part)}, err
}

// listParquet lists the pictures of files that are one set, in the order of their rows.
func listParquet(place string, paths []string, opts Options) (*pictureFiles, error) {
	list := &pictureFiles{place: place}
	cache := newPageCache(parquetMemory)
	var texts, names []string
	var classes []string
	for i, file := range paths {
		table, err := openParquet(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if i > 0 && !slices.Equal(classes, table.classes) {
			return nil, fmt.Errorf("%s: %w: its classes are called %q, those of %s %q; take "+
				"files of one set",
				file, ErrArgument, table.classes, paths[0], classes)
		}
		classes = table.classes
		for row, page := range table.rows() {
			where := fmt.Sprintf("%s, row %d", file, row)
			read := func() ([]byte, error) {
				data, err := cache.value(page.page, page.row)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", where, err)
				}
				return data, nil
			}
			name := fmt.Sprintf("%s/%d", filepath.Base(file), row)
			list.files = append(list.files, pictureFile{name: name, where: where, read: read,
				stamp: page.page.file.stampAt(int64(row))})
		}
		texts, names = append(texts, table.labels...), append(names, table.names...)
	}
	if len(list.files) == 0 {
		return nil, fmt.Errorf("%s: %w", place, ErrEmpty)
	}
	for i, text := range texts {
		if text == "" {
			return nil, fmt.Errorf("%s: %w: it has no label; remove the row", list.files[i].where,
				ErrNoLabels)
		}
	}
	list.takeNames(names)
	if err := list.setLabels(texts); err != nil {
		return nil, err
	}
	if len(list.classes) == 0 && !opts.OwnNames {
		list.classes = classes
	}
	dir := place
	if len(paths) == 1 && paths[0] == place {
		return list, nil // what lies beside a file may be another set's
	}
	return list, list.withNamesIn(dir, opts)
}

// takeNames calls the pictures by the names that the rows give them, where each has one
// of its own.
func (l *pictureFiles) takeNames(names []string) {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		outside := path.IsAbs(name) || strings.HasPrefix(name, "..")
		if name == "" || seen[name] || outside || path.Clean(name) != name {
			return
		}
		seen[name] = true
	}
	for i, name := range names {
		l.files[i].name = name
	}
}

// pictureLeaves finds the columns of the pictures' bytes and of their names, which may be
// missing. Hugging Face's Image is a column with bytes and path in it.
func pictureLeaves(root *parquet.Column) (data, name *parquet.Column, err error) {
	plainColumns := []string{"image", "img", "image_bytes", "img_bytes", "bytes", "jpg", "png"}
	var found []*parquet.Column
	for _, column := range root.Columns() {
		inner := column
		if !column.Leaf() {
			inner = column.Column("bytes")
		} else if !slices.Contains(plainColumns, column.Name()) {
			continue
		}
		if inner != nil && inner.Leaf() && inner.Type().Kind() == parquet.ByteArray {
			found = append(found, column)
		}
	}
	if len(found) == 0 {
		return nil, nil, fmt.Errorf("%w: it has no column of pictures; the columns are %s: call "+
			"one image, with bytes in it as Hugging Face has it",
			ErrUnknown, columnNames(root))
	}
	chosen := found[0]
	if len(found) > 1 {
		usual := func(c *parquet.Column) bool { return c.Name() == "image" || c.Name() == "img" }
		i := slices.IndexFunc(found, usual)
		if i < 0 {
			return nil, nil, fmt.Errorf("%w: it has several columns of pictures, %s and %s; call "+
				"the one that counts image",
				ErrAmbiguous, found[0].Name(), found[1].Name())
		}
		chosen = found[i]
	}
	if data = chosen; !chosen.Leaf() {
		data, name = chosen.Column("bytes"), chosen.Column("path")
	}
	if data.MaxRepetitionLevel() > 0 {
		return nil, nil, fmt.Errorf("%w: %s has several pictures a row", ErrArgument, chosen.Name())
	}
	if name != nil && (!name.Leaf() || name.Type().Kind() != parquet.ByteArray) {
		name = nil
	}
	return data, name, nil
}

// labelLeaf finds the column of labels: one that is called so, or the only one whose
// classes are named.
func labelLeaf(root *parquet.Column, named map[string][]string) (*parquet.Column, error) {
	for _, title := range append([]string{"fine_label"}, labelColumns()...) {
		for _, column := range root.Columns() {
			if column.Name() == title && column.Leaf() && column.MaxRepetitionLevel() == 0 {
				return column, nil
			}
		}
	}
	var found []*parquet.Column
	for _, column := range root.Columns() {
		if named[column.Name()] != nil && column.Leaf() && column.MaxRepetitionLevel() == 0 {
			found = append(found, column)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return nil, fmt.Errorf("%w: it has no column of labels; the columns are %s: call one label",
		ErrNoLabels, columnNames(root))
}

func columnNames(root *parquet.Column) string {
	var names []string
	for _, column := range root.Columns() {
		names = append(names, column.Name())
	}
	return strings.Join(names, ", ")
}

// classNamesOf reads the names of classes that Hugging Face's datasets keeps in a file's
// metadata, by column.
func classNamesOf(file *parquet.File) (map[string][]string, error) {
	text, ok := file.Lookup("huggingface")
	if !ok {
		return nil, nil
	}
	var metadata struct {
		Info struct {
			Features map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(text), &metadata); err != nil {
		return nil, fmt.Errorf("%w: the metadata huggingface: %w", ErrArgument, err)
	}
	classes := make(map[string][]string)
	for name, feature := range metadata.Info.Features {
		var class struct {
			Type  string `json:"_type"`
			Names []string
		}
		// Features of other kinds may be anything.
		if json.Unmarshal(feature, &class) == nil && class.Type == "ClassLabel" &&
			len(class.Names) > 0 {
			classes[name] = class.Names
		}
	}
	return classes, nil
}
