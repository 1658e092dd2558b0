//go:build cgo

package infer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// session is one of onnxruntime's. It holds the environment. A call that was given up goes on in
// it, so that the last of its users destroys it, where that comes after Close.
type session struct {
	*ort.DynamicAdvancedSession
	loan *loan // of weights that it uses; nil for one that has all

	mu     sync.Mutex
	users  int
	closed bool
}

// use takes the session for a call, which is what it names. Each success is paired with a release.
func (s *session) use(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("onnxruntime: %s after Close", call)
	}
	s.users++
	return nil
}

func (s *session) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if s.closed && s.users == 0 {
		return s.destroy()
	}
	return nil
}

// Close destroys the session, or leaves that to a call that still runs.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.users > 0 {
		return nil
	}
	return s.destroy()
}

func (s *session) destroy() error {
	return errors.Join(s.end(), releaseEnvironment())
}

// end destroys what onnxruntime has, and then what it used.
func (s *session) end() error {
	err := s.Destroy()
	if s.loan != nil {
		s.loan.Close()
	}
	return err
}

// newSession makes a session with options of its own: options that failed with one provider are not
// used again. more, if not nil, adds to them. onnxruntime computes then what depends on no input,
// for as long and as large as the model says.
func (r *onnxRuntime) newSession(ctx context.Context, model runnable, outputs []string,
	more func(*ort.SessionOptions) error) (*session, error) {
	ctx, cancel := limited(ctx, r.timeLimit, "making a session for the model")
	defer cancel()
	bytes := r.memoryLimit/sessionShare + sessionWeights*model.size()
	return watched(ctx, bytes, "making a session for the model",
		func(context.Context) (*session, error) {
			if err := acquireEnvironment(r.library); err != nil {
				return nil, err
			}
			made, err := r.makeSession(model, outputs, more)
			if err != nil {
				return nil, errors.Join(err, releaseEnvironment())
			}
			return made, nil
		}, func(s *session) {
			// Nobody is left to hear of it.
			_ = s.Close()
		})
}

// inSession returns what a call returns that uses the session, within the limits of a batch.
func inSession[T any](ctx context.Context, r *onnxRuntime, s *session, name string,
	call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := limited(ctx, r.timeLimit, "the batch")
	defer cancel()
	result, err := watched(ctx, r.memoryLimit, "the batch",
		func(ctx context.Context) (result T, err error) {
			if err := s.use(name); err != nil {
				return result, err
			}
			result, err = call(ctx)
			if failed := s.release(); failed != nil {
				err = errors.Join(err, failed)
			}
			return result, err
		}, func(T) {})
	if limitReached(ctx, err) {
		return result, fmt.Errorf("%s: %w", r.model, err)
	}
	return result, err
}
