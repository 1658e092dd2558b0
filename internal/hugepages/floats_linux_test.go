package hugepages_test

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"slipway/internal/hugepages"
)

// TestLargeMemoryAsksForHugePages reads from the kernel what it was asked for. Whether it has huge
// pages to give depends on its other memory.
func TestLargeMemoryAsksForHugePages(t *testing.T) {
	const setting = "/sys/kernel/mm/transparent_hugepage/enabled"
	if _, err := os.Stat(setting); err != nil {
		t.Skipf("the kernel has no huge pages to ask for: %v", err)
	}
	if size := os.Getpagesize(); size != 4<<10 {
		t.Skipf("pages have %d bytes here, and huge ones are not asked for", size)
	}
	values := hugepages.Floats(16 << 20)
	middle := uint64(uintptr(unsafe.Pointer(&values[len(values)/2])))
	flags := flagsOf(t, middle)
	runtime.KeepAlive(values)
	if flags == nil {
		t.Skip("/proc/self/smaps has no VmFlags of the memory: this is no kernel of Linux")
	}
	if !slices.Contains(flags, "hg") {
		t.Errorf("64 MB lie in memory with the flags %v; hg is what MADV_HUGEPAGE leaves", flags)
	}
}

// flagsOf returns the flags of the mapping that an address lies in, nil if there are none.
func flagsOf(t *testing.T, address uint64) []string {
	t.Helper()
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skipf("what the kernel was asked for cannot be read: %v", err)
	}
	defer file.Close()
	inside := false
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var first, last uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &first, &last); n == 2 {
			inside = first <= address && address < last
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			return strings.Fields(flags)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return nil
}
