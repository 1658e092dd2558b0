//go:build linux

package sharedmemory_test

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/sharedmemory"
)

const addressVariable = "SLIPWAY_TEST_SHARED_MEMORY"

// TestMain is also the other process: it prints the sum of the segment that it is told of.
func TestMain(m *testing.M) {
	address := os.Getenv(addressVariable)
	if address == "" {
		os.Exit(m.Run())
	}
	segment, err := sharedmemory.Open(address, 3)
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	sum := float32(0)
	for _, x := range segment.Floats() {
		sum += x
	}
	println(int(sum))
	runtime.KeepAlive(segment)
}

func TestAnotherProcessReads(t *testing.T) {
	segment, err := sharedmemory.New(3)
	if err != nil {
		t.Fatal(err)
	}
	if x := segment.Floats(); !slices.Equal(x, make([]float32, 3)) {
		t.Errorf("a new segment has the numbers %v", x)
	}
	other := func() string {
		t.Helper()
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), addressVariable+"="+segment.Address())
		output, _ := command.CombinedOutput()
		return strings.TrimSpace(string(output))
	}
	copy(segment.Floats(), []float32{1, 20, 300})
	if got := other(); got != "321" {
		t.Errorf("another process reads %q, want 321", got)
	}
	segment.Floats()[0] = 2
	if got := other(); got != "322" {
		t.Errorf("another process then reads %q, want 322", got)
	}
	segment.Hide()
	if got := other(); !strings.Contains(got, "shared memory: ") {
		t.Errorf("another process finds a segment that is hidden: %q", got)
	}
	if got := segment.Floats()[2]; got != 300 {
		t.Errorf("the owner then reads %g, want 300", got)
	}
	runtime.KeepAlive(segment)
}

// What is no segment, not this machine's or not the one that is meant is not mapped.
func TestOpenRejects(t *testing.T) {
	segment, err := sharedmemory.New(3)
	if err != nil {
		t.Fatal(err)
	}
	other, err := sharedmemory.New(3)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Fields(segment.Address())
	with := func(part int, text string) string {
		changed := slices.Clone(parts)
		changed[part] = text
		return strings.Join(changed, " ")
	}
	for _, test := range []struct {
		address string
		numbers int
		want    string
	}{
		{segment.Address(), 4, "has 4108 bytes, and 4112 are expected"},
		{with(0, "elsewhere/pid:[1]"), 3, "of another machine or container"},
		{with(1, "x"), 3, "is no address"},
		{with(2, "x"), 3, "is no address"},
		{with(2, "99999"), 3, "no such file"},
		{with(3, strings.Fields(other.Address())[3]), 3, "has another file there"},
		{with(3, "ab"), 3, "is no address"},
		{parts[0], 3, "is no address"},
		{"", 3, "another machine"},
	} {
		if _, err := sharedmemory.Open(test.address, test.numbers); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%q, %d numbers: %v, want %q", test.address, test.numbers, err, test.want)
		}
	}
	if _, err := sharedmemory.Open(segment.Address(), 3); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(segment)
	runtime.KeepAlive(other)
}

// A segment that nobody has any more leaves no file open, be it hidden or not.
func TestNoFileIsLeft(t *testing.T) {
	open := func() int {
		t.Helper()
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	before := open()
	for range 30 {
		if _, err := sharedmemory.New(3); err != nil {
			t.Fatal(err)
		}
		hidden, err := sharedmemory.New(3)
		if err != nil {
			t.Fatal(err)
		}
		hidden.Hide()
		hidden.Hide()
	}
	for begin := time.Now(); open() > before; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("%d files are open, and %d were", open(), before)
		}
		runtime.GC()
	}
}
