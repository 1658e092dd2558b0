//go:build unix && cgo

package doctor

import (
	"io"
	"os"
	"strings"
	"testing"

	"slipway/internal/mpi/mpitest"
	"slipway/train"
)

// Real ranks measure, and the first of them says what it comes to.
func TestMPIRanksAreMeasured(t *testing.T) {
	for _, l := range mpitest.Libraries(t) {
		command := l.Command(t, 2, []string{actAsRank + "=1"}, os.Args[0])
		output, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", l.Name, err, output)
		}
		for _, want := range []string{
			"2 ranks, ", l.Name + " ABI)", "ranks whose numbers differ by 1 exchange", "100,000",
			"\nα = ", "e1: 184,586 parameters", "MODEL, not measured", "\n     64 ", "8 machines of 8 GPUs",
			"--map-by node",
		} {
			if strings.Count(string(output), want) != 1 {
				t.Errorf("%s: %q is not there once:\n%s", l.Name, want, output)
			}
		}
	}
}

// Each distance that the ranks have is measured, by ranks in one process.
func TestLinksOfEachDistance(t *testing.T) {
	outputs := make(chan string, 4)
	for _, rank := range train.LocalRanks(4) {
		go func() {
			defer rank.Close()
			var out strings.Builder
			links, err := measureLinks(t.Context(), rank, []int{10, 1000}, &out)
			if err != nil || len(links) != 2 {
				t.Errorf("rank %d: %v, %v", rank.Rank(), links, err)
			}
			outputs <- out.String()
		}()
	}
	for range 4 {
		if text := <-outputs; !strings.Contains(text, "differ by 1 ") ||
			!strings.Contains(text, "differ by 2 ") || strings.Contains(text, "differ by 4 ") {
			t.Error(text)
		}
	}
	ranks := train.LocalRanks(3)
	_, err := measureLinks(t.Context(), ranks[0], []int{10}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "3 ranks cannot share a batch: start 2, 4, 8") {
		t.Error(err)
	}
}
