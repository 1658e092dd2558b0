package main

import (
	"context"
	"encoding/json"
	"strings"
)

const (
	rowMachine = "machine"
	noGPU      = "no GPU"
)

// checkMachine says what the machine is, and whether it can train on CUDA at all. Where doctor
// itself fails, the other parts find out.
func checkMachine(ctx context.Context, c *checker) {
	if has("nvidia-smi") {
		c.run(ctx, observed{part: "machine"}, "nvidia-smi",
			"--query-gpu=name,driver_version,memory.total,"+
				"clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu,mig.mode.current",
			"--format=csv")
		c.run(ctx, observed{part: "machine"}, "nvidia-smi")
	}
	var text strings.Builder
	r := c.run(ctx, observed{part: "machine", see: func(line string) { text.WriteString(line) }},
		"bin/doctor", "-json")
	// Libraries may warn before and behind the answer.
	answer := text.String()
	begin, end := strings.Index(answer, "{"), strings.LastIndex(answer, "}")
	var found struct {
		Checks []struct{ Name, State, Found, Remedy string }
	}
	err := r.err
	if begin >= 0 && begin < end {
		if wrong := json.Unmarshal([]byte(answer[begin:end+1]), &found); wrong != nil && err == nil {
			err = wrong
		}
	}
	for _, check := range found.Checks {
		if check.Name != "CUDA training" {
			continue
		}
		c.gpu, c.why = check.State == "ok", noGPU+": "+check.Found
		if c.gpu {
			c.add(rowMachine, passed, check.Found)
		} else {
			c.missing(rowMachine, c.why+"; "+check.Remedy)
		}
		return
	}
	r.err = err
	c.gpu = true
	c.add(rowMachine, failed, "doctor -json says nothing of CUDA training: "+r.reason()+
		"; the check goes on")
}

// needsGPU says of rows why they are not measured where there is no GPU.
func (c *checker) needsGPU(rows ...string) bool {
	if c.gpu {
		return true
	}
	for _, row := range rows {
		c.missing(row, c.why)
	}
	return false
}
