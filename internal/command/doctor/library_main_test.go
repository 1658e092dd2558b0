package doctor

import (
	"context"
	"os"
	"testing"

	"slipway/internal/librarytest"
	"slipway/internal/mpi"
)

// actAsRank makes the test binary a rank of doctor -mpi, with messages that take no time.
const actAsRank = "SLIPWAY_TEST_ACT_AS_RANK"

// TestMain shows the tests the repository's onnxruntime.
func TestMain(m *testing.M) {
	if os.Getenv(actAsRank) != "" {
		mpi.Exit(examineRanks(context.Background(), []int{1000, 100_000}, os.Stdout, os.Stderr))
	}
	librarytest.Main(m)
}
