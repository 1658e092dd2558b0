package pretrained_test

import (
	"os"
	"path/filepath"
	"testing"

	"slipway/pretrained"
)

func TestFileOrigin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.onnx")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	const file = "mine.onnx (sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad)"
	for _, test := range []struct{ attribution, licence, want string }{
		{"", "", file},
		{"Net by Somebody", "", file + ", which says: Net by Somebody"},
		{"Net by Somebody", "MIT", file + ", which says: Net by Somebody, MIT"},
	} {
		if got, err := pretrained.FileOrigin(path, test.attribution, test.licence); err != nil ||
			got != test.want {
			t.Errorf("%q, %v, want %q", got, err, test.want)
		}
	}
	if _, err := pretrained.FileOrigin(path+".none", "", ""); err == nil {
		t.Error("a file that is not there has an origin")
	}
}
