//go:build !unix

package scaling

import "time"

var began = time.Now()

// processorTime is the time that has passed: what this process has computed for is not known here.
func processorTime() time.Duration { return time.Since(began) }
