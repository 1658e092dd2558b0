//go:build race

package train

// raceDetector says that calls are not inlined as they are without it, so that more is allocated.
const raceDetector = true
