package cli

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheckThreads(t *testing.T) {
	for _, threads := range []int{0, 1, 64, MostThreads()} {
		if err := CheckThreads(threads); err != nil {
			t.Error(err)
		}
	}
	if err := CheckThreads(-1); err == nil || err.Error() != "-threads -1 is negative" {
		t.Error(err)
	}
	if err := CheckThreads(100_000); err == nil ||
		!strings.Contains(err.Error(), fmt.Sprintf("-threads 100000 is more than %d", MostThreads())) {
		t.Error(err)
	}
}
