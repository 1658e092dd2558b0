package lease

import (
	"os"
	"strings"
)

// bootID tells this run of the kernel from those of other machines, and from earlier ones of this.
func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}
