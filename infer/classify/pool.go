package classify

import (
	"context"
	"errors"
	"sync"

	"slipway/infer/port"
)

// pool hands out sessions, the one that was used last first, since its memory lies in the
// caches. Sessions are made when they are first needed.
type pool struct {
	open   func() (*session, error)
	places chan struct{} // one for each session that may be in use
	closed chan struct{}

	mu   sync.Mutex
	idle []*session
	once sync.Once
	err  error // of close
}

func newPool(sessions int, open func() (*session, error)) (*pool, error) {
	p := &pool{open: open, places: make(chan struct{}, sessions), closed: make(chan struct{})}
	for range sessions {
		p.places <- struct{}{}
	}
	first, err := open()
	if err != nil {
		return nil, err
	}
	p.idle = append(make([]*session, 0, sessions), first)
	return p, nil
}

// take waits for a session until ctx ends.
func (p *pool) take(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, port.Ended(ctx)
	}
	select {
	case <-p.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case <-p.places:
	case <-p.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, port.Ended(ctx)
	}
	if s := p.last(); s != nil {
		return s, nil
	}
	s, err := p.open()
	if err != nil {
		p.places <- struct{}{}
		return nil, err
	}
	return s, nil
}

func (p *pool) last() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	s := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return s
}

// give takes a session back.
func (p *pool) give(s *session) {
	p.mu.Lock()
	p.idle = append(p.idle, s)
	p.mu.Unlock()
	p.places <- struct{}{}
}

// close waits until all sessions are back, and closes them.
func (p *pool) close() error {
	p.once.Do(func() {
		close(p.closed)
		for range cap(p.places) {
			<-p.places
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, s := range p.idle {
			p.err = errors.Join(p.err, s.close())
		}
		p.idle = nil
	})
	return p.err
}
