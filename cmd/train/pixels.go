package main

import (
	"fmt"
	"io"

	"slipway/internal/display"
	"slipway/train"
)

// tellMeasured says what -pixels measured has become.
func (o *options) tellMeasured(trainer *train.Trainer, out io.Writer) {
	if o.config.Pixels != train.PixelsMeasured {
		return
	}
	sets := trainer.Sets()
	images := sets.Training.Images
	if sets.Validation != nil {
		images -= sets.Validation.Images
	}
	fmt.Fprintf(out, "pixels %s on the %s images that are trained on: %s\n",
		train.PixelsMeasured, display.Thousands(images), trainer.Config().Pixels)
}
