package classify

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"slipway/dataset/feed"
	"slipway/dataset/picture"
	"slipway/onnx"
)

// Option is a choice for Open and New. What does not apply to the model is refused there.
type Option func(*options) error

// options are the choices as they were given; the zero value is none.
type options struct {
	labels   []string
	pixels   *feed.Pixels
	sizing   *picture.Sizing
	top      int
	output   string
	threads  int
	sessions int
	pictures picture.Options
	open     func(*onnx.Model) (Runtime, error)
}

// WithLabels names the classes, in the order of the model's scores, in place of the names that
// the model records. There must be one for each class.
func WithLabels(names ...string) Option {
	return func(o *options) error {
		if len(names) == 0 {
			return errors.New("WithLabels: there is no name")
		}
		o.labels = slices.Clone(names)
		return nil
	}
}

// WithPixels says how the bytes of an image become the network's input, in place of what the
// model records; without either they are fed as they are, 0…255.
func WithPixels(pixels feed.Pixels) Option {
	return func(o *options) error {
		o.pixels = &pixels
		return nil
	}
}

// WithSizing says how images of any size come to the size that the model takes, in place of
// what the model records; without either, images must have that size.
func WithSizing(sizing picture.Sizing) Option {
	return func(o *options) error {
		if err := sizing.Check(); err != nil {
			return fmt.Errorf("WithSizing: %w", err)
		}
		o.sizing = &sizing
		return nil
	}
}

// WithTop says how many of the best classes are returned of an image, 1 or more; all
// of them without it. It is no error if the model has fewer.
func WithTop(classes int) Option {
	return func(o *options) error {
		if classes < 1 {
			return fmt.Errorf("WithTop(%d): at least 1 is needed", classes)
		}
		o.top = classes
		return nil
	}
}

// WithOutput names the score output of a model that has several.
func WithOutput(name string) Option {
	return func(o *options) error {
		if name == "" {
			return errors.New("WithOutput: the name is empty")
		}
		o.output = name
		return nil
	}
}

// WithThreads says how many threads compute one call, 1 or more; 1 without it, which serves
// most images a second when there are several callers. It is of the native runtime.
func WithThreads(threads int) Option {
	return func(o *options) error {
		if threads < 1 {
			return fmt.Errorf("WithThreads(%d): at least 1 is needed", threads)
		}
		o.threads = threads
		return nil
	}
}

// WithSessions says how many calls are computed at the same time, 1 or more; others wait. It is
// the number of processors that Go uses by the number of threads without it, and 1 with
// WithRuntime. A session is made when it is first needed, and has memory of its own beside the
// weights.
func WithSessions(sessions int) Option {
	return func(o *options) error {
		if sessions < 1 {
			return fmt.Errorf("WithSessions(%d): at least 1 is needed", sessions)
		}
		o.sessions = sessions
		return nil
	}
}

// WithLimits bounds what is taken of a picture in place of picture.DefaultMaxPixels and
// picture.DefaultMaxBytes: its width times its height, and for an encoded one its length in
// bytes. 0 stands for the default. A server that takes anybody's pictures wants lower ones: a
// picture of 100,000,000 pixels takes 300 MB while it is decoded.
func WithLimits(pixels, bytes int) Option {
	return func(o *options) error {
		if pixels < 0 || bytes < 0 {
			return fmt.Errorf("WithLimits(%d, %d): neither may be negative", pixels, bytes)
		}
		o.pictures.MaxPixels, o.pictures.MaxBytes = pixels, bytes
		return nil
	}
}

// WithRuntime runs the model in another runtime than the native one. The function opens it,
// once for each session; what it gets has been checked. Package infer has such runtimes:
//
//	classify.WithRuntime(func(m *onnx.Model) (classify.Runtime, error) {
//		return infer.OpenONNXRuntime(ctx, m, infer.ONNXRuntimeOptions{})
//	})
//
// A program that does not ask for onnxruntime has nothing of it, neither cgo nor a library.
func WithRuntime(open func(*onnx.Model) (Runtime, error)) Option {
	return func(o *options) error {
		if open == nil {
			return errors.New("WithRuntime: there is no function")
		}
		o.open = open
		return nil
	}
}

// apply takes the options in order and says which do not go together.
func (o *options) apply(given []Option) error {
	for i, option := range given {
		if option == nil {
			return fmt.Errorf("option %d is nil", i)
		}
		if err := option(o); err != nil {
			return err
		}
	}
	if o.open != nil && o.threads > 0 {
		return errors.New("WithThreads is of the native runtime, and does not go with WithRuntime: " +
			"say it where the other runtime is opened")
	}
	white := picture.White()
	o.pictures.Background = &white
	o.threads = max(o.threads, 1)
	if o.sessions == 0 {
		o.sessions = 1
		if o.open == nil {
			o.sessions = max(1, runtime.GOMAXPROCS(0)/o.threads)
		}
	}
	return nil
}
