package serve

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Whoever goes on using a model does not keep the server from ending.
func TestCloseHasAnEnd(t *testing.T) {
	server, err := New(t.Context(), Config{Models: []string{filepath.Join("..", "testdata",
		"small.onnx")}, Limits: Limits{DrainTime: 10 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	used, err := server.repository.acquire("small", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err == nil || !strings.Contains(err.Error(), "within 10ms") {
		t.Errorf("%v", err)
	}
	used.release()
	server.repository.loader.open.Wait()
}
