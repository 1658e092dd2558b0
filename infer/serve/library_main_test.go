package serve

import (
	"testing"

	"slipway/internal/librarytest"
)

func TestMain(m *testing.M) { librarytest.Main(m) }
