package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/train"
)

// A bit that is flipped in any file of a finished run is found before the file is used.
func TestDamagedFilesOfARun(t *testing.T) {
	root := t.TempDir()
	file := readStudy(t, "s", "fixed: {epochs: 1}\ngrid: {dropout: [0.1]}\n")
	results, _ := execute(t, file, root, 1)
	if len(results) != 1 {
		t.Fatalf("%d results", len(results))
	}
	result, err := ReadResult(results[0].Dir)
	if err != nil {
		t.Fatal(err)
	}
	network, err := file.baseNetwork(value{keyBase, file.Base, 0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	readers := map[string]func() error{
		WeightsFile: func() error {
			_, _, err := train.ReadWeights(filepath.Join(result.Dir, WeightsFile), network)
			return err
		},
	}
	for _, name := range []string{LogitsFile, ModelFile, HistoryFile} {
		readers[name] = func() error {
			_, err := result.ReadFile(name)
			return err
		}
	}
	for name, read := range readers {
		path := filepath.Join(result.Dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := 0; i < len(whole); i += max(1, len(whole)/50) {
			whole[i] ^= 4
			if err := os.WriteFile(path, whole, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := read(); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s with a bit flipped in byte %d: %v", name, i, err)
			}
			whole[i] ^= 4
		}
	}
}
