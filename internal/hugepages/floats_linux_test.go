package hugepages_test

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"slipway/internal/hugepages"
)

// TestLargeMemoryLiesInHugePages touches large memory and reads from the kernel how much of what
// lies around it is in huge pages.
func TestLargeMemoryLiesInHugePages(t *testing.T) {
	const setting = "/sys/kernel/mm/transparent_hugepage/enabled"
	switch text, err := os.ReadFile(setting); {
	case err != nil:
		t.Skipf("the kernel has no huge pages to give: %v", err)
	case strings.Contains(string(text), "[never]"):
		t.Skipf("the kernel gives no huge pages: %s says %s", setting, text)
	case os.Getpagesize() != 4<<10:
		t.Skipf("pages have %d bytes here, and huge ones are not asked for", os.Getpagesize())
	}
	values := hugepages.Floats(16 << 20)
	for i := 0; i < len(values); i += 1 << 10 {
		values[i] = 1
	}
	at := uint64(uintptr(unsafe.Pointer(&values[0])))
	huge := hugeBytes(t, at, at+uint64(4*len(values)))
	runtime.KeepAlive(values)
	t.Logf("%d of 64 MB in huge pages", huge>>20)
	// Memory that is short or in pieces has fewer: a half is still no accident.
	if huge < 32<<20 {
		t.Errorf("%d bytes of 64 MB lie in huge pages", huge)
	}
}

// hugeBytes adds up what the mappings between two addresses have in huge pages.
func hugeBytes(t *testing.T, from, to uint64) uint64 {
	t.Helper()
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var inside bool
	var total uint64
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var first, last, kilobytes uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &first, &last); n == 2 {
			inside = first < to && last > from
		} else if n, _ := fmt.Sscanf(lines.Text(), "AnonHugePages: %d kB", &kilobytes); n == 1 && inside {
			total += kilobytes << 10
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return total
}
