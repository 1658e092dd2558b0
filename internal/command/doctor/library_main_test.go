package doctor

import (
	"testing"

	"slipway/internal/librarytest"
)

// TestMain shows the tests the repository's onnxruntime.
func TestMain(m *testing.M) { librarytest.Main(m) }
