package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What the cores can do at most is told by the kernels in use, and is some billions.
func TestPeak(t *testing.T) {
	t.Setenv("SLIPWAY_KERNEL", "portable")
	var out bytes.Buffer
	if err := peak(2, &out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Kernels        string
		GFLOPs, GBytes float64
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Kernels != "portable" || !(got.GFLOPs > 0.01) || !(got.GBytes > 0.01) {
		t.Errorf("%+v", got)
	}
	t.Setenv("SLIPWAY_KERNEL", "none such")
	if err := peak(1, &out); err == nil {
		t.Error("kernels that there are not: no error")
	}
}
