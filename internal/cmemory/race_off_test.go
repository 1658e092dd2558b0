//go:build !race

package cmemory

// raceDetector says that the race detector keeps notes of Go's memory in memory of its own.
const raceDetector = false
