package classify

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"slices"
	"sync/atomic"

	"slipway/dataset/feed"
	"slipway/dataset/picture"
	"slipway/infer/native"
	"slipway/infer/port"
	"slipway/internal/display"
	"slipway/onnx"
)

// What a runtime is, takes and gives is said in package port.
type (
	// Runtime runs one model: see WithRuntime.
	Runtime = port.Runtime
	// Info names a runtime and what it runs on.
	Info = port.Info
	// Batch is N images as a network is fed: N×C×H×W, row-major.
	Batch = port.Batch
	// Logits are the scores of N images for K classes, N×K.
	Logits = port.Logits
)

// ErrClosed is the error of a Classifier that is used after Close.
var ErrClosed = errors.New("the classifier is closed")

// ErrNotFinite says that a model gave numbers of an image that are none: it has no answer.
var ErrNotFinite = errors.New("the model's scores of the image are not numbers")

// ErrPicture says that the fault is the picture's and not the model's: it is none, or damaged,
// larger than the limits, or of a size that the model does not take. A server answers 400 to it.
var ErrPicture = errors.New("the picture cannot be classified")

// pictureError is an error that is ErrPicture, in words of its own.
type pictureError struct{ error }

func (e pictureError) Is(target error) bool { return target == ErrPicture }

func (e pictureError) Unwrap() error { return e.error }

// A Result is one class that an image may be of.
type Result struct {
	// Class is the place of the class among the model's scores, from 0.
	Class int `json:"class"`
	// Label names it, and is the number in Class where the model does not.
	Label string `json:"label"`
	// Probability is what the model makes of it, 0…1. It has the precision of float32.
	Probability float64 `json:"probability"`
}

// A Classifier says what images show. Its methods may be called by any number of goroutines.
type Classifier struct {
	path   string
	model  *onnx.Model // nil once nothing more is made of it
	chosen options
	ports  port.Ports
	scale  port.Scale
	pixels feed.Pixels
	sizing *picture.Sizing          // nil where images must have the model's size
	given  []string                 // the classes' names as an option or the record has them
	any    bool                     // an image has any number of labels
	labels atomic.Pointer[[]string] // by class; nil while the number of classes is not known
	input  Input
	info   Info
	batch  int // images of a run at most
	pool   *pool
	first  *native.Evaluator // whose weights the others share; made before there are callers
}

// Open reads an ONNX image classifier and makes it ready. What the model was trained on is
// taken from its metadata, as export writes it: the names of the classes, how pixels are
// scaled, how pictures come to size. Options say so of a model that was made elsewhere.
//
// The model is checked, and where it says which size its images have, it is run once, so that
// one that cannot be run is refused here. Errors name the file.
func Open(path string, options ...Option) (*Classifier, error) {
	model, err := onnx.Read(path)
	if err != nil {
		return nil, err
	}
	return New(model, options...)
}

// New is Open for a model that is in memory, such as one that onnx.Decode made of bytes that
// are embedded in the program. The model must not be changed afterwards.
func New(model *onnx.Model, given ...Option) (*Classifier, error) {
	if err := model.Check(); err != nil {
		return nil, err
	}
	c := &Classifier{path: model.Path(), model: model}
	if c.path == "" {
		c.path = "model"
	}
	if err := c.open(given); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	return c, nil
}

func (c *Classifier) open(given []Option) (err error) {
	if err := c.chosen.apply(given); err != nil {
		return err
	}
	if c.ports, err = port.Find(c.model, c.chosen.output); err != nil {
		return err
	}
	c.scale = port.ScaleOf(c.model, c.chosen.output)
	c.batch = port.BatchOf(c.model)
	if err := c.readRecord(); err != nil {
		return err
	}
	if err := c.describeInput(); err != nil {
		return err
	}
	if c.pool, err = newPool(c.chosen.sessions, c.newSession); err != nil {
		return err
	}
	if err := c.try(); err != nil {
		return errors.Join(err, c.pool.close())
	}
	if c.first != nil {
		c.model = nil // The sessions share what was made of it.
	}
	return nil
}

// readRecord takes what the model's record says where no option does.
func (c *Classifier) readRecord() error {
	record, recorded, err := c.model.TrainingRecord()
	if err != nil {
		return err
	}
	if c.chosen.pixels != nil {
		c.pixels = *c.chosen.pixels
	} else if c.pixels, err = port.PixelsOf(record); err != nil {
		return err
	}
	if c.sizing = c.chosen.sizing; c.sizing == nil {
		if c.sizing, err = port.SizingOf(record); err != nil {
			return err
		}
	}
	c.any = record.MultiLabel()
	if c.given = c.chosen.labels; c.given == nil && recorded {
		c.given = record.ClassLabels
	}
	return nil
}

// try runs a black image, if the model says which size it takes.
func (c *Classifier) try() error {
	ctx := context.Background()
	s, err := c.pool.take(ctx)
	if err != nil {
		return err
	}
	defer c.pool.give(s)
	c.info = s.info()
	classes := c.ports.Classes()
	if black, ok := c.blackImage(); ok {
		scores, err := s.scores(ctx, black)
		if err != nil {
			return err
		}
		c.info, classes = s.info(), scores.K
	}
	if classes > 0 {
		_, err = c.namesOf(classes)
	}
	return err
}

// blackImage is one of the size that the model takes, if it says that.
func (c *Classifier) blackImage() (Batch, bool) {
	for _, channels := range []int{c.input.Channels, 1, 3} {
		b := Batch{N: 1, C: channels, H: c.input.Height, W: c.input.Width}
		if c.input.features > 0 {
			b.C, b.H, b.W = 1, 1, c.input.features
		}
		if _, err := c.ports.Fit(b.C, b.H, b.W); err == nil && b.C*b.H*b.W > 0 {
			b.Pixels = make([]float32, b.C*b.H*b.W)
			return b, true
		}
	}
	return Batch{}, false
}

// namesOf are what so many classes are called. How many there are may show only when a model
// runs.
func (c *Classifier) namesOf(classes int) ([]string, error) {
	if names := c.labels.Load(); names != nil && len(*names) == classes {
		return *names, nil
	}
	if c.chosen.labels != nil && len(c.chosen.labels) != classes {
		return nil, fmt.Errorf("WithLabels: there are %s, and the model gives %d scores",
			display.Count(len(c.chosen.labels), "name"), classes)
	}
	names := display.ClassNames(c.given, classes)
	c.labels.Store(&names)
	return names, nil
}

// Labels returns the names of the classes in the order of the scores: numbers where the model
// does not name them. It is empty where the model says neither how many classes there are nor
// how large its images are, until one was classified.
func (c *Classifier) Labels() []string {
	if names := c.labels.Load(); names != nil {
		return slices.Clone(*names)
	}
	return nil
}

// MultiLabel reports whether the model was trained on images with any number of labels: results
// have the probability of each label alone then, and an image has those above 0.5, which may be
// none.
func (c *Classifier) MultiLabel() bool { return c.any }

// Input says what the model takes, and how images come to it.
func (c *Classifier) Input() Input { return c.input }

// Info says what runs the model: the runtime, its version, its kernels and its threads. Notes
// are what a user must hear, such as that a single score is read as the probability of class 1.
func (c *Classifier) Info() Info { return c.info }

// Sessions returns how many calls are computed at the same time.
func (c *Classifier) Sessions() int { return c.chosen.sessions }

// Classify says what an image shows: the class with the highest score first, of equal ones that
// of the lower number. Of a photograph in a file, ClassifyReader gives the answer that the command
// infer gives, as it turns it upright and decodes it as the network's training did; an image
// of package image/jpeg is decoded otherwise by a few steps of 255.
//
// It waits while as many calls are computed as there are sessions, until ctx ends. In steady
// state it allocates the results and nothing else.
func (c *Classifier) Classify(ctx context.Context, m image.Image) ([]Result, error) {
	s, err := c.pool.take(ctx)
	if err != nil {
		return nil, err
	}
	defer c.pool.give(s)
	if err := s.work.begin(1).add(m); err != nil {
		return nil, err
	}
	scores, err := s.scores(ctx, s.work.batch())
	if err != nil {
		return nil, err
	}
	return s.results(scores, 0)
}

// ClassifyReader is Classify for an encoded picture: PNG, JPEG, GIF, BMP, TIFF or WebP, told by
// its first bytes. Errors of a picture wrap ErrPicture and those of package picture: ErrFormat,
// ErrUnsupported, ErrTooLarge, ErrTruncated and ErrDamaged.
func (c *Classifier) ClassifyReader(ctx context.Context, r io.Reader) ([]Result, error) {
	m, err := c.Decode(r)
	if err != nil {
		return nil, err
	}
	return c.Classify(ctx, m)
}

// ClassifyFile is ClassifyReader for a file. Errors name it.
func (c *Classifier) ClassifyFile(ctx context.Context, path string) ([]Result, error) {
	m, err := picture.Load(path, c.chosen.pictures)
	if err != nil {
		return nil, pictureError{err}
	}
	results, err := c.Classify(ctx, &decoded{m})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return results, nil
}

// ClassifyBatch is Classify for several images, whose answers are in their order. They are fed
// to the model together, which takes less time than one after the other; where the batch is
// large, in several runs. An image that has no answer ends it with an error that names its
// place.
func (c *Classifier) ClassifyBatch(ctx context.Context, images []image.Image) ([][]Result, error) {
	if len(images) == 0 {
		return nil, nil
	}
	s, err := c.pool.take(ctx)
	if err != nil {
		return nil, err
	}
	defer c.pool.give(s)
	answers := make([][]Result, 0, len(images))
	for part := range slices.Chunk(images, c.batch) {
		s.work.begin(len(part))
		for _, m := range part {
			if err := s.work.add(m); err != nil {
				return nil, fmt.Errorf("image %d: %w", len(answers)+s.work.images, err)
			}
		}
		scores, err := s.scores(ctx, s.work.batch())
		if err != nil {
			return nil, err
		}
		for i := range part {
			results, err := s.results(scores, i)
			if err != nil {
				return nil, fmt.Errorf("image %d: %w", len(answers), err)
			}
			answers = append(answers, results)
		}
	}
	return answers, nil
}

// Scores runs images that are as the network is fed already, and returns the model's own
// scores, N×K: logits, or probabilities where the model ends in what makes them. It is for
// programs that have tensors and not pictures, such as a server.
func (c *Classifier) Scores(ctx context.Context, batch Batch) (Logits, error) {
	s, err := c.pool.take(ctx)
	if err != nil {
		return Logits{}, err
	}
	defer c.pool.give(s)
	scores, err := s.scores(ctx, batch)
	scores.Values = slices.Clone(scores.Values) // the session's
	return scores, err
}

// Close waits for the calls that are computed and frees what the Classifier holds. Calls that
// wait, and later ones, fail with ErrClosed. A second Close does nothing.
func (c *Classifier) Close() error { return c.pool.close() }
