package pretrained

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// FileOrigin says whose weights a run begins with that takes them from a file: the file's name
// without its folder, the sha256 of its bytes, and what is known of whom they are of and under
// which licence, both of which may be empty.
func FileOrigin(path, attribution, licence string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	text := fmt.Sprintf("%s (sha256 %s)", filepath.Base(path), hex.EncodeToString(sum.Sum(nil)))
	if attribution != "" {
		text += ", which says: " + attribution
	}
	if licence != "" {
		text += ", " + licence
	}
	return text, nil
}
