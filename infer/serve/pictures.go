package serve

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"

	"slipway/dataset/feed"
	"slipway/dataset/picture"
	"slipway/infer"
	"slipway/infer/port"
	"slipway/internal/display"
	"slipway/onnx"
)

// pictures is how pictures are read for a model and how its scores are told of, as the metadata
// in its file says: what `infer picture.jpg` and package classify do, too.
type pictures struct {
	ports   port.Ports
	reading picture.Options
	sizing  *picture.Sizing // nil where a picture must have the model's size
	pixels  feed.Pixels
	scale   port.Scale
	labels  []string // empty where the model does not say
	several bool     // a picture has any number of labels
}

// picturesOf returns how a model wants its pictures.
func picturesOf(model *onnx.Model, ports port.Ports, config Config) (pictures, error) {
	record, _, err := model.TrainingRecord()
	if err != nil {
		return pictures{}, err
	}
	p := pictures{ports: ports, scale: port.ScaleOf(model, config.RuntimeOptions.Output),
		labels: record.ClassLabels, several: record.MultiLabel()}
	if p.pixels, err = port.PixelsOf(record); err != nil {
		return pictures{}, err
	}
	if p.sizing, err = port.SizingOf(record); err != nil {
		return pictures{}, err
	}
	p.reading = picture.Options{Channels: port.Channels(model), MaxPixels: config.Limits.Pixels,
		MaxBytes: int(min(config.Limits.Body, math.MaxInt))}
	return p, nil
}

// checkSize refuses a picture whose size, as its header says it, the model does not take: decoding
// it could take long. What is wrong with the file, and too large, is for decoding to say.
func (p pictures) checkSize(file []byte) error {
	config, err := picture.ReadConfig(file)
	if err != nil || p.sizing != nil || config.Width > p.reading.MaxPixels/config.Height {
		return nil
	}
	channels := config.Channels
	if p.reading.Channels > 0 {
		channels = p.reading.Channels
	}
	return p.fits(channels, config.Height, config.Width)
}

func (p pictures) fits(channels, height, width int) error {
	if _, err := p.ports.Fit(channels, height, width); err != nil {
		return refuse(http.StatusUnprocessableEntity, "the picture does not suit the model: %v", err)
	}
	return nil
}

// decode makes of a file the image that the model is asked about.
func (p pictures) decode(ctx context.Context, file []byte) (infer.Batch, error) {
	if err := p.checkSize(file); err != nil {
		return infer.Batch{}, err
	}
	decoded, err := picture.DecodeContext(ctx, file, p.reading)
	if err == nil && p.sizing != nil {
		decoded, err = p.sizing.Apply(decoded)
	}
	if err != nil {
		return infer.Batch{}, unreadablePicture(err)
	}
	batch := infer.Batch{N: 1, C: decoded.Channels, H: decoded.Height, W: decoded.Width,
		Pixels: make([]float32, len(decoded.Pixels))}
	if err := p.fits(batch.C, batch.H, batch.W); err != nil {
		return infer.Batch{}, err
	}
	if err := p.pixels.Feed(batch.Pixels, decoded.Pixels, decoded.Channels,
		len(decoded.Pixels)); err != nil {
		return infer.Batch{}, refuse(http.StatusUnprocessableEntity,
			"the picture does not suit the model: %v", err)
	}
	return batch, nil
}

func unreadablePicture(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, picture.ErrTooLarge):
		return &problem{http.StatusRequestEntityTooLarge, err.Error(), "pixels"}
	case errors.Is(err, picture.ErrFormat), errors.Is(err, picture.ErrUnsupported):
		return refuse(http.StatusUnsupportedMediaType, "%v", err)
	}
	return badRequest("%v", err)
}

// A candidate is a class that a picture may be of.
type candidate struct {
	Class       int     `json:"class"`
	Name        string  `json:"name"`
	Probability float64 `json:"probability"`
}

// best returns the classes with the highest scores, top of them at most, and their probabilities.
func (p pictures) best(scores []float32, top int) ([]candidate, error) {
	probabilities := slices.Clone(scores)
	p.scale.Probabilities(probabilities)
	if slices.ContainsFunc(probabilities, func(q float32) bool { return !finite(q) }) {
		return nil, &problem{status: http.StatusInternalServerError,
			text: "the model answers a score that is no number"}
	}
	return p.named(port.Best(nil, scores, top), probabilities), nil
}

// told returns those of all labels, the surest first, whose probability is above
// infer.DefaultThreshold. It is empty, and not nil, of a picture that has none.
func (p pictures) told(scores []float32, all []candidate) []candidate {
	limit := p.scale.Threshold(infer.DefaultThreshold)
	n := slices.IndexFunc(all, func(c candidate) bool { return !(scores[c.Class] > limit) })
	if n < 0 {
		n = len(all)
	}
	return all[:n:n]
}

// named returns classes with their names and probabilities.
func (p pictures) named(classes []int, probabilities []float32) []candidate {
	names := display.ClassNames(p.labels, len(probabilities))
	all := make([]candidate, len(classes))
	for i, class := range classes {
		all[i] = candidate{class, names[class], float64(probabilities[class])}
	}
	return all
}

// decodeInTurn decodes once there is a place: as many pictures are decoded at a time as there are
// cores, since more would not be done sooner, and each takes memory of its size.
func (p pictures) decodeInTurn(
	ctx context.Context, places chan struct{}, file []byte,
) (infer.Batch, error) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return infer.Batch{}, ctx.Err()
	}
	return p.decode(ctx, file)
}

// classify answers about one picture: with its best classes, and with the labels that it has where
// a picture has any number of them, nil of other models.
func (v *version) classify(
	ctx context.Context, decoders chan struct{}, file []byte, top int,
) (best, labels []candidate, err error) {
	batch, err := v.pictures.decodeInTurn(ctx, decoders, file)
	if err != nil {
		return nil, nil, err
	}
	scores, err := v.batcher.run(ctx, batch)
	if err != nil {
		return nil, nil, err
	}
	row := scores.Row(0)
	if !v.pictures.several {
		best, err = v.pictures.best(row, top)
		return best, nil, err
	}
	all, err := v.pictures.best(row, len(row))
	if err != nil {
		return nil, nil, err
	}
	return all[:min(top, len(all))], v.pictures.told(row, all), nil
}
