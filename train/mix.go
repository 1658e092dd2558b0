package train

import (
	"fmt"
	"math"
	"strings"

	"slipway/internal/random"
)

// Mix makes one image of two and one target of their labels, in steps and not in evaluations. The
// zero value leaves images as they are. It is timm.data.Mixup of mode "batch": a batch of B images
// is mixed in one way, image i with image B−1−i, once pixels are normalised. Which way is a
// function of Seed and the step, so that a resumed run mixes as an unbroken one does.
//
//	mixup   λ·x + (1−λ)·x′                                      Zhang et al. (2018)
//	cutmix  x with a rectangle of x′, of the share 1−λ of its area  Yun et al. (2019)
//
// λ is drawn from Beta(α, α). A rectangle lies around a pixel drawn at random and is cut off at the
// image's edge, and λ is what then is left of x. The target is the label of x to the share λ and
// that of x′ to the rest. Training accuracy counts the label that has the larger share.
type Mix struct {
	// MixUp and CutMix are the α of either, 0 for none. Of both, each batch has one.
	MixUp  float64 `json:"mixup,omitempty"`
	CutMix float64 `json:"cutmix,omitempty"`
	// Probability is that of a batch to be mixed, 1 if zero.
	Probability float64 `json:"probability,omitempty"`
	// Switch is the probability of cutmix where both are on, 0.5 if zero.
	Switch float64 `json:"switch,omitempty"`
}

// IsZero reports whether nothing is mixed.
func (m Mix) IsZero() bool { return m == Mix{} }

// withDefaults fills in timm's defaults, and reports what is out of range or does not apply.
func (m Mix) withDefaults() (Mix, error) {
	for _, alpha := range []struct {
		name  string
		value float64
	}{{"mixup", m.MixUp}, {"cutmix", m.CutMix}} {
		if !(alpha.value >= 0 && finite(alpha.value)) {
			return m, wrongSetting("mix."+alpha.name, "%s: α = %v; it is a number above 0, or 0 for none",
				alpha.name, alpha.value)
		}
	}
	both := m.MixUp > 0 && m.CutMix > 0
	switch {
	case m.MixUp == 0 && m.CutMix == 0 && m.Probability != 0:
		return m, wrongSetting("mix.probability", "a probability of mixing, %v, needs mixup or cutmix",
			m.Probability)
	case !both && m.Switch != 0:
		return m, wrongSetting("mix.switch", "a probability of cutmix in place of mixup, %v, needs both",
			m.Switch)
	case !(m.Probability >= 0 && m.Probability <= 1):
		return m, wrongSetting("mix.probability", "probability of mixing %v is outside 0 ≤ p ≤ 1",
			m.Probability)
	case !(m.Switch >= 0 && m.Switch <= 1):
		return m, wrongSetting("mix.switch",
			"probability of cutmix in place of mixup %v is outside 0 ≤ p ≤ 1", m.Switch)
	case m.IsZero():
		return m, nil
	}
	setDefault(&m.Probability, 1)
	if both {
		setDefault(&m.Switch, 0.5)
	}
	return m, nil
}

// String says what is mixed, for people.
func (m Mix) String() string {
	var parts []string
	if m.MixUp > 0 {
		parts = append(parts, fmt.Sprintf("mixup with α = %v", m.MixUp))
	}
	if m.CutMix > 0 {
		parts = append(parts, fmt.Sprintf("cutmix with α = %v", m.CutMix))
	}
	text := strings.Join(parts, " or ")
	if m.Probability < 1 {
		text += fmt.Sprintf(", of %v of the batches", m.Probability)
	}
	if len(parts) == 2 && m.Switch != 0.5 {
		text += fmt.Sprintf(", cutmix of %v of these", m.Switch)
	}
	return text
}

// blend is how the images of a batch are mixed: x to the share λ, all of it if 1. A blend that cuts
// takes the rows top…bottom−1 and columns left…right−1 of the other image.
type blend struct {
	share                    float64
	cuts                     bool
	top, bottom, left, right int
}

// draw returns the blend of a step, of images of that height and width, by words under a key.
func (m Mix) draw(key uint64, step, height, width int) blend {
	words := random.NewWords(key, uint64(step))
	if m.IsZero() || words.Unit() >= m.Probability {
		return blend{share: 1}
	}
	cuts := m.CutMix > 0 && (m.MixUp == 0 || words.Unit() < m.Switch)
	if !cuts {
		return blend{share: words.Beta(m.MixUp, m.MixUp)}
	}
	share := words.Beta(m.CutMix, m.CutMix)
	return cut(share, height, width, words.Below(height), words.Below(width))
}

// cut returns the blend of a rectangle around a pixel, of the share 1−λ of the area or of what the
// edges leave of it, and of λ as it is then. It is timm's rand_bbox, with its roundings.
func cut(share float64, height, width, row, column int) blend {
	ratio := math.Sqrt(1 - share)
	high, wide := int(float64(height)*ratio), int(float64(width)*ratio)
	b := blend{
		cuts: true,
		top:  max(row-high/2, 0), bottom: min(row+(high+1)/2, height),
		left: max(column-wide/2, 0), right: min(column+(wide+1)/2, width),
	}
	area := (b.bottom - b.top) * (b.right - b.left)
	b.share = 1 - float64(area)/float64(height*width)
	return b
}
