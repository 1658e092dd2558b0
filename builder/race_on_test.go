//go:build race

package builder

// raceDetector says that the tests run under it, some ten times as long.
const raceDetector = true
