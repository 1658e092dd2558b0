package cputime

import (
	"testing"
	"time"
)

// Computing counts, waiting does not.
func TestUsed(t *testing.T) {
	before := Used()
	time.Sleep(200 * time.Millisecond)
	if slept := Used() - before; slept > 100*time.Millisecond {
		t.Errorf("waiting counts as %v", slept)
	}
	for x := 1.0; Used()-before < 20*time.Millisecond; x++ {
		if x > 1e10 {
			t.Fatal("computing does not count")
		}
	}
}
