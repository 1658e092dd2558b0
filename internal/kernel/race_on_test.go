//go:build race

package kernel

// raceDetector says that tests run under the race detector.
const raceDetector = true
