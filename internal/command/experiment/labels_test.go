package experiment

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Studies are of one label an image, and say so before they begin.
func TestAStudyRefusesSeveralLabels(t *testing.T) {
	dir := t.TempDir()
	for name, file := range map[string]struct {
		shape string
		data  []byte
	}{"images.npy": {"(2, 6, 6)", make([]byte, 72)},
		"labels.npy": {"(2, 3)", []byte{1, 1, 0, 0, 0, 0}}} {
		header := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': %s, }\n", file.shape)
		content := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), 0)
		if err := os.WriteFile(filepath.Join(dir, name), append(append(content, header...), file.data...),
			0o666); err != nil {
			t.Fatal(err)
		}
	}
	for key, text := range map[string]string{
		"data": strings.Replace(tiny, "data: t10k", "data: "+dir, 1),
		"test": strings.Replace(tiny, "test: t10k", "test: "+dir, 1),
	} {
		runs := t.TempDir()
		code, out, errs := runExperiment(t, "run", "-runs", runs, writeStudy(t, text))
		if code != 1 || !strings.Contains(errs, key+": "+dir+": ") ||
			!strings.Contains(errs, "a study is of one label an image") {
			t.Errorf("%s: exit %d: %s%s", key, code, out, errs)
		}
	}
}
