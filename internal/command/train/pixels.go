package train

import (
	"fmt"
	"io"
	"slices"

	"slipway/internal/display"
	"slipway/train"
)

// tellPixels says what -pixels measured has become, and where the weights of -init come
// from a run that was fed otherwise.
func (o *options) tellPixels(trainer *train.Trainer, out io.Writer) {
	pixels := trainer.Config().Pixels
	if o.config.Pixels == train.PixelsMeasured {
		sets := trainer.Sets()
		images := sets.Training.Images
		if sets.Validation != nil {
			images -= sets.Validation.Images
		}
		fmt.Fprintf(out, "pixels %s on the %s images that are trained on: %s\n",
			train.PixelsMeasured, display.Thousands(images), pixels)
	}
	if o.init == "" {
		return
	}
	// Files that are no checkpoint do not say how their weights were fed.
	checkpoint, err := train.ReadCheckpoint(o.init)
	if err == nil && !fedAlike(checkpoint.Config, trainer.Config()) {
		fmt.Fprintf(out,
			"note: the weights in %s were trained on pixels %s, and this run feeds %s; -pixels %s feeds them as before\n",
			o.init, checkpoint.Config.Pixels, pixels, checkpoint.Config.Pixels)
	}
}

// fedAlike reports whether two runs feed pixels by the same constants.
func fedAlike(a, b train.Config) bool {
	aScales, aOffsets, aErr := a.PixelTransform()
	bScales, bOffsets, bErr := b.PixelTransform()
	return aErr == nil && bErr == nil && slices.Equal(aScales, bScales) &&
		slices.Equal(aOffsets, bOffsets)
}
