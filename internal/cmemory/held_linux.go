package cmemory

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
)

// Held returns the bytes of memory that are neither Go's nor a file's, and whether the system
// tells: pages that were written to at least once (proc(5), statm: resident less shared), less what
// Go has from the system and has not given back. It takes some microseconds.
func Held() (held int64, known bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(text)
	if len(fields) < 3 {
		return 0, false
	}
	resident, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, false
	}
	shared, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil {
		return 0, false
	}
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	for _, sample := range samples {
		if sample.Value.Kind() != metrics.KindUint64 {
			return 0, false
		}
	}
	goes := int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
	return max(0, (resident-shared)*int64(os.Getpagesize())-goes), true
}
