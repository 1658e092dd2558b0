package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/internal/atomicfile"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// mayWrite reports why an export to the output, and to the folder beside it, would
// destroy what no export has made: nil where it would not.
func mayWrite(output string) error {
	if err := mayReplace(output); err != nil {
		return err
	}
	dir := folder(output)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf(
			"%s, where what belongs to the graph goes, is no folder; move it, or choose another name with -o",
			dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	foreign := slices.ContainsFunc(entries, func(entry os.DirEntry) bool {
		return !atomicfile.IsTemporary(entry.Name())
	})
	if _, err := os.Stat(filepath.Join(dir, recordFile)); err != nil && foreign {
		return fmt.Errorf(
			"%s is a folder that export did not make: it has no %s; move it, or choose another name with -o",
			dir, recordFile)
	}
	return nil
}

// mayReplace reports why the file may not be replaced by a graph: it is there, and is
// not one that this program wrote.
func mayReplace(output string) error {
	info, err := os.Stat(output)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file; choose another name with -o", output)
	}
	if model, err := onnx.Read(output); err == nil {
		producer, _ := model.Producer()
		if _, variant := model.VariantRecord(); variant || producer == convert.ProducerName {
			return nil
		}
	}
	return fmt.Errorf(
		"%s is there and was not written by export; move it, or choose another name with -o", output)
}
