package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	rowNative = "ten steps beside the CPU engine: losses and gradients"
	rowTests  = "the executor's tests"
)

const nativeTest = "TestTenStepsAreThoseOfTheNativeEngine"

var (
	// verdictPattern is what go test says of a test, or of a part of one.
	verdictPattern = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+)`)
	stepsPattern   = regexp.MustCompile(`(e[12], 10 steps: .*)`)
	// elsewhere is why a test does not run on a GPU at all. Any other skip is a failure: there is a
	// device.
	elsewhere = regexp.MustCompile(
		`needs the simulator|needs NVIDIA's cuDNN and cuBLAS|there is a driver`)
)

// A testResult is what one test of the executor came to.
type testResult struct {
	verdict string // PASS, FAIL or SKIP, empty where the process ended without one
	reason  string // of a failure
	left    bool   // for another machine: the simulator
}

// runTest runs a test in a process of its own: an error of the device lasts as long as its process.
func (c *checker) runTest(ctx context.Context, part, name string, see func(string)) testResult {
	var t testResult
	var said []string
	r := c.run(ctx, observed{part: part, see: func(line string) {
		found := verdictPattern.FindStringSubmatch(line)
		switch {
		case found != nil && found[2] == name:
			t.verdict = found[1]
		case found != nil && found[1] != "PASS":
			said = append(said, strings.TrimSpace(line))
		case elsewhere.MatchString(line):
			t.left = true
		case strings.Contains(line, "_test.go:"):
			said = append(said, strings.TrimSpace(line))
		}
		if see != nil {
			see(line)
		}
	}}, "bin/cuda.test", "-test.run=^"+name+"$", "-test.v", "-test.timeout=2m")
	// A part that was skipped counts as its test. What a test says before it passes is no reason.
	skipped := slices.ContainsFunc(said, func(line string) bool {
		return strings.HasPrefix(line, "--- SKIP")
	})
	switch {
	case t.verdict == "PASS" && r.err == nil && !skipped:
		return t
	case t.verdict == "SKIP" && t.left && r.err == nil:
		return t
	}
	t.left = false
	t.reason = strings.Join(said[:min(len(said), 3)], "; ")
	if t.verdict == "" || t.reason == "" {
		t.reason = r.reason()
	}
	if t.verdict == "PASS" || t.verdict == "" {
		t.verdict = "FAIL"
	}
	return t
}

// checkNative has ten steps of E1 and E2 beside the CPU engine's.
func checkNative(ctx context.Context, c *checker) {
	if !c.needsGPU(rowNative) {
		return
	}
	var compared []string
	t := c.runTest(ctx, "tests", nativeTest, func(line string) {
		if found := stepsPattern.FindString(line); found != "" {
			compared = append(compared, found)
		}
	})
	figures := strings.Join(compared, "; ")
	switch {
	case t.verdict != "PASS" && ctx.Err() != nil:
		c.missing(rowNative, t.reason+"; it had said: "+figures)
	case t.verdict != "PASS":
		c.add(rowNative, failed, figures+" "+t.verdict+": "+t.reason)
	case figures == "":
		c.add(rowNative, failed, "the test passed and did not say what it compared")
	default:
		c.add(rowNative, passed, figures)
	}
}

// checkTests runs every other test of the executor by itself: every node beside plain loops, odd
// networks, ties in pooling, a repeat's bits, counts of launches and copies.
func checkTests(ctx context.Context, c *checker) {
	if !c.needsGPU(rowTests) {
		return
	}
	list, err := c.output(ctx, "tests", "bin/cuda.test", "-test.list", "^Test")
	names := testNames(list)
	if err != nil || len(names) == 0 {
		c.add(rowTests, failed, fmt.Sprintf("the list of tests: %v, %d names", err, len(names)))
		return
	}
	var bad, left []string
	good, began := 0, time.Now()
	for i, name := range names {
		if ctx.Err() != nil {
			bad = append(bad, fmt.Sprintf("stopped: %d tests did not run", len(names)-i))
		} else if t := c.runTest(ctx, "tests", name, nil); t.left {
			left = append(left, name)
		} else if t.verdict == "PASS" {
			good++
		} else {
			bad = append(bad, fmt.Sprintf("%s %s: %s", t.verdict, name, t.reason))
		}
		verdict, figures := passed, fmt.Sprintf(
			"%d passed, %d failed, %d are for the simulator (%s), %.0f s", good, len(bad), len(left),
			strings.Join(left, ", "), time.Since(began).Seconds())
		if len(bad) > 0 || good == 0 {
			verdict, figures = failed, figures+"; "+strings.Join(bad, "; ")
		}
		if i < len(names)-1 && ctx.Err() == nil {
			figures += fmt.Sprintf("; %d to come", len(names)-1-i)
		}
		c.add(rowTests, verdict, figures)
		if ctx.Err() != nil {
			return
		}
	}
}

// testNames are those of a list, but the one that has a row of its own and what names the list's
// end.
func testNames(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, "Test") && name != nativeTest &&
			name != contactTest && name != algorithmsTest {
			names = append(names, name)
		}
	}
	return names
}
