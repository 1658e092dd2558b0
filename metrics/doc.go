// Package metrics says what a classifier is worth on labelled images: from its scores and the
// labels to accuracy, the figures of each class, how well scores rank and how honest they are.
//
// New is for one label an image, NewMultiLabel for any number of them. Figures bear the names
// that scikit-learn gives them, in JSON too, and are its figures (metrics are held against
// scikit-learn 1.9.1; testdata/golden.json, made by scripts/golden/make-golden metrics). A
// figure that is not defined, such as the recall of a class without images, is nil and left
// out of JSON: it is neither 0 nor a NaN. A mean over the classes is over those where the
// figure is defined.
//
// docs/metrics.md explains each figure to somebody who meets it for the first time.
package metrics

import (
	"errors"
	"math"
)

// ErrArgument is wrapped by the errors for scores and labels that do not go together.
var ErrArgument = errors.New("argument out of range")

// defined is nil for what is not a finite number.
func defined(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
