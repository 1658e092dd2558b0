package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"slipway/infer"
	"slipway/provenance"
)

// Config says what a Server serves and how. Models is needed; what else is zero has a default.
type Config struct {
	// Models are ONNX files, and folders that hold NAME.onnx or NAME/VERSION/model.onnx, a
	// version being a number. A folder is looked through again and again.
	Models []string
	// Runtime is infer.RuntimeNative if empty, or infer.RuntimeONNXRuntime.
	Runtime string
	// RuntimeOptions are those of every model.
	RuntimeOptions infer.RuntimeOptions
	// Poll is the time between two looks at Models, DefaultPoll if 0. A change is taken up
	// once two looks in a row see the same of it, so that no half-written file is loaded.
	Poll time.Duration
	// MaxBatch is how many images of several requests are computed together, DefaultMaxBatch
	// if 0, and fewer for a model whose images are large. 1 keeps requests apart.
	MaxBatch int
	// MaxWait is how long a request waits for others to share its batch. With 0 none waits:
	// those that came while the model was busy are the next batch.
	MaxWait time.Duration
	// Limits bound what clients may ask for.
	Limits Limits
	// RequireSignature, if not nil, has a model be loaded only if its signature verifies: that of
	// the file, mine.onnx.sig, or else model.sig in its folder. The bytes that were verified are
	// those that are loaded. A changed model without a sound signature leaves the old one serving.
	RequireSignature *provenance.Verifier
	// Token, if not empty, is what every request but those for health must bear, as
	// "Authorization: Bearer TOKEN".
	Token string
	// TLS, if not nil, has the certificate that Serve shows.
	TLS *tls.Config
	// DrainDelay is the time between the end of Serve's context, when readiness ends, and the
	// end of accepting, for a balancer to look elsewhere.
	DrainDelay time.Duration
	// Logger is told what happens; nil for nobody.
	Logger *slog.Logger
}

// Limits bound what clients may ask for. What is zero has the default in brackets.
type Limits struct {
	// Body is the most bytes of a request's body, also after it is unpacked [64 MiB].
	Body int64
	// Memory is the most bytes of all bodies held at one time [1 GiB].
	Memory int64
	// Pixels is the most width × height of a picture, known before it is unpacked [50 million].
	Pixels int
	// Queue is the most requests that wait for one model [256].
	Queue int
	// Requests is the most requests at one time, from the last byte of the header to the last
	// of the answer [1024]. Those for health and metrics are not counted.
	Requests int
	// Connections is the most open connections [4096].
	Connections int
	// HeaderTime is the longest that a client may take to send a request's header [10 s],
	// BodyTime its body [30 s], and WriteTime to take the answer [30 s].
	HeaderTime, BodyTime, WriteTime time.Duration
	// AnswerTime is the longest from the body's last byte to the answer: waiting, decoding a
	// picture and computing [30 s].
	AnswerTime time.Duration
	// IdleTime is how long a connection without a request stays open [2 min].
	IdleTime time.Duration
	// DrainTime is how long requests may take to end once Serve's context has, and models to be
	// unloaded by Close [30 s].
	DrainTime time.Duration
}

// What a Config has where it says nothing.
const (
	DefaultPoll     = 5 * time.Second
	DefaultMaxBatch = 64
)

// DefaultLimits returns the limits that a zero Limits stands for.
func DefaultLimits() Limits {
	return Limits{
		Body: 64 << 20, Memory: 1 << 30, Pixels: 50_000_000, Queue: 256, Requests: 1024,
		Connections: 4096,
		HeaderTime:  10 * time.Second, BodyTime: 30 * time.Second, WriteTime: 30 * time.Second,
		AnswerTime: 30 * time.Second, IdleTime: 2 * time.Minute, DrainTime: 30 * time.Second,
	}
}

// complete returns the limits with the defaults filled in.
func (l Limits) complete() (Limits, error) {
	d := DefaultLimits()
	for _, limit := range []struct {
		name   string
		value  *int64
		filled int64
	}{{"body", &l.Body, d.Body}, {"memory", &l.Memory, d.Memory}} {
		if err := fill(limit.name, limit.value, limit.filled); err != nil {
			return l, err
		}
	}
	for _, limit := range []struct {
		name   string
		value  *int
		filled int
	}{
		{"pixels", &l.Pixels, d.Pixels}, {"queue", &l.Queue, d.Queue},
		{"requests", &l.Requests, d.Requests}, {"connections", &l.Connections, d.Connections},
	} {
		if err := fill(limit.name, limit.value, limit.filled); err != nil {
			return l, err
		}
	}
	for _, limit := range []struct {
		name   string
		value  *time.Duration
		filled time.Duration
	}{
		{"header time", &l.HeaderTime, d.HeaderTime}, {"body time", &l.BodyTime, d.BodyTime},
		{"write time", &l.WriteTime, d.WriteTime}, {"answer time", &l.AnswerTime, d.AnswerTime},
		{"idle time", &l.IdleTime, d.IdleTime}, {"drain time", &l.DrainTime, d.DrainTime},
	} {
		if err := fill(limit.name, limit.value, limit.filled); err != nil {
			return l, err
		}
	}
	if l.Body > l.Memory {
		return l, fmt.Errorf("the limit of %d bytes a body is above that of %d for all bodies", l.Body,
			l.Memory)
	}
	return l, nil
}

func fill[T int | int64 | time.Duration](name string, value *T, filled T) error {
	if *value < 0 {
		return fmt.Errorf("the limit %q is %v: it may not be negative, 0 stands for the default", name,
			*value)
	}
	if *value == 0 {
		*value = filled
	}
	return nil
}

// complete returns the configuration with the defaults filled in.
func (c Config) complete() (Config, error) {
	if len(c.Models) == 0 {
		return c, errors.New("there is nothing to serve: name a model, or a folder of models")
	}
	if c.Runtime == "" {
		c.Runtime = infer.RuntimeNative
	}
	if err := infer.CheckRuntimeName(c.Runtime); err != nil {
		return c, err
	}
	if c.Runtime != infer.RuntimeNative && c.Runtime != infer.RuntimeONNXRuntime {
		return c, fmt.Errorf("the runtime %s is for comparisons: %s and %s serve", c.Runtime,
			infer.RuntimeNative, infer.RuntimeONNXRuntime)
	}
	if c.Poll < 0 || c.MaxBatch < 0 || c.MaxWait < 0 || c.DrainDelay < 0 {
		return c, fmt.Errorf(
			"a poll of %v, a batch of %d, a wait of %v or a drain delay of %v: none may be negative",
			c.Poll, c.MaxBatch, c.MaxWait, c.DrainDelay)
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = DefaultMaxBatch
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	c.Limits, err = c.Limits.complete()
	return c, err
}
