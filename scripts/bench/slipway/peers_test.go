package main

import (
	"os/exec"
	"testing"
)

// TestPeersOwnTests runs what tests the other side of the benchmarks, in Python.
func TestPeersOwnTests(t *testing.T) {
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("scripts/bench needs Python 3: %v", err)
	}
	for _, script := range []string{"../bench_peers_test.py", "../placement_test.py"} {
		if out, err := exec.Command(interpreter, "-B", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}
