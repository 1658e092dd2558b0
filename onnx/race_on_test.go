//go:build race

package onnx

// raceDetector says that tests run under the race detector.
const raceDetector = true
