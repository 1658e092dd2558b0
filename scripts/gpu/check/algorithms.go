package main

import (
	"context"
	"fmt"
	"regexp"
)

const (
	rowFind        = "cudnnFind: all algorithms of each convolution"
	algorithmsTest = "TestEachAlgorithm"
)

// foundPattern reads what the test says of a convolution: its pass and shapes with the network that
// has it, and each algorithm.
var foundPattern = regexp.MustCompile(`found: (.+? \([^()]+\)): (.*)`)

// checkAlgorithms has cuDNN measure every algorithm that it has for each convolution of E1, E2 and
// ResNet-20. Each convolution has a row of its own, as soon as it is measured.
func checkAlgorithms(ctx context.Context, c *checker) {
	if !c.needsGPU(rowFind) {
		return
	}
	convolutions := 0
	t := c.runTest(ctx, "steps", algorithmsTest, func(line string) {
		if found := foundPattern.FindStringSubmatch(line); found != nil {
			convolutions++
			c.add("cudnnFind: "+found[1], passed, found[2])
		}
	})
	figures := fmt.Sprintf("%d convolutions, each in a row of its own", convolutions)
	switch {
	case t.verdict == "PASS" && convolutions > 0:
		c.add(rowFind, passed, figures)
	case t.verdict == "PASS":
		c.add(rowFind, failed, "the test passed and did not say what it found")
	case ctx.Err() != nil && convolutions == 0:
		c.missing(rowFind, t.reason)
	case ctx.Err() != nil:
		c.add(rowFind, passed, figures+"; not measured: the rest: "+t.reason)
	default:
		c.add(rowFind, failed, figures+"; "+t.verdict+": "+t.reason)
	}
}
