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
	if out, err := exec.Command(interpreter, "-B", "../bench_peers_test.py").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
