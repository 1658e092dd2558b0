package document

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/internal/atomicfile"
)

// Files that Write makes of a document itself.
const (
	MarkdownFile = "report.md"
	HTMLFile     = "report.html"
)

// CheckFolder reports a folder that a report may not be written into: one with files in it that
// are not those of an earlier report, told by its page and by its last file.
func CheckFolder(dir, last string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("folder of the report: %w", err)
	case len(entries) == 0:
		return nil
	}
	for _, name := range []string{last, HTMLFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("folder of the report: %s has other files, and no earlier report; "+
				"name a new folder", dir)
		}
	}
	return nil
}

// Write writes the document as Markdown and HTML into the folder, which it makes, with the files
// beside it; last is written after all others. Of the optional files, those that this document
// does not have are removed: an earlier one's would be taken for a part of it.
func (d *Document) Write(dir string, last File, optional ...string) error {
	if err := CheckFolder(dir, last.Name); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return fmt.Errorf("folder of the report: %w", err)
	}
	files := append(d.Files(), File{MarkdownFile, d.Markdown()}, File{HTMLFile, d.HTML()}, last)
	written := make(map[string]bool)
	for _, file := range files {
		if err := atomicfile.WriteBytes(filepath.Join(dir, file.Name), file.Content); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		written[file.Name] = true
	}
	for _, name := range optional {
		if written[name] {
			continue
		}
		err := os.Remove(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("file of an earlier report: %w", err)
		}
	}
	return nil
}
