package onnx

import "testing"

func TestFreshNames(t *testing.T) {
	taken := names{"relu": true, "relu.3": true}
	for _, want := range []string{"relu.2", "relu.4", "relu.5"} {
		if got := taken.fresh("relu"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := taken.fresh("pool"); got != "pool" {
		t.Errorf("%s, want pool", got)
	}
}
