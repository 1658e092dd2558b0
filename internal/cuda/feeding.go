//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"slipway/dataset"
	"slipway/internal/device"
)

// feeding brings batches that the host makes to the device. There are two stagings, of which the
// host fills one while the device copies from the other, in a stream beside that of the steps (see
// landing) or, where there is to be one, in that. The host alone has to wait: for the copy of the
// last batch but one, before it writes there.
type feeding struct {
	gpu      *gpu
	size     int // values of an image
	stagings [2]staging
	next     int      // the staging of the batch that is made next
	landing  *landing // nil where copies are in the stream of the steps
	// made is how many images the batch has that is made there, 0 until somebody asks for it.
	made int
}

// staging is page-locked memory of the host: the device copies from it by itself, while the host
// goes on.
type staging struct {
	memory unsafe.Pointer
	bytes  int64
	// copied is recorded behind each copy, and under way until somebody has waited for it.
	copied    cu.Event
	hasCopied bool // the event is there
	underWay  bool

	images int // of the batch, 0 if there is none
	layout fedLayout
	batch  device.Batch
}

// fedLayout is how a batch lies in one block, on the host and on the device alike, so that one copy
// brings it: its images from 0 on, and the places of the rest, in values of four bytes.
type fedLayout struct{ labels, others, shares, total int }

func newFedLayout(images, size int) fedLayout {
	aligned := func(n int) int { return (n + alignment - 1) / alignment * alignment }
	all, each := aligned(images*size), aligned(images)
	return fedLayout{labels: all, others: all + each, shares: all + 2*each, total: all + 3*each}
}

func (l fedLayout) bytes() int64 { return 4 * int64(l.total) }

// fedValues is the part of a block of a batch's values from a place on.
func fedValues[T float32 | int32](block unsafe.Pointer, place, n int) []T {
	return unsafe.Slice((*T)(unsafe.Add(block, 4*place)), n)
}

// batch returns the memory of the next batch, once the device has copied what was there before.
func (f *feeding) batch(images int) (*device.Batch, error) {
	if images < 1 {
		return nil, fmt.Errorf("a batch of %d images is fed; at least 1 is needed", images)
	}
	s := &f.stagings[f.next]
	if err := s.wait(f.gpu); err != nil {
		return nil, err
	}
	f.made = 0
	if s.images == images {
		f.made = images
		return &s.batch, nil
	}
	layout := newFedLayout(images, f.size)
	if err := s.fit(layout.bytes()); err != nil {
		return nil, fmt.Errorf("a batch of %d images to be fed: %w", images, err)
	}
	f.made, s.images, s.layout = images, images, layout
	s.batch = device.Batch{
		Images: fedValues[float32](s.memory, 0, images*f.size),
		Labels: fedValues[int32](s.memory, layout.labels, images),
		Others: fedValues[int32](s.memory, layout.others, images),
		Shares: fedValues[float32](s.memory, layout.shares, images),
	}
	return &s.batch, nil
}

// send has the device copy the batch that was returned last, before what is put into the stream of
// the steps from now on. Another one is made in the other staging.
func (f *feeding) send(to *buffer) error {
	s := &f.stagings[f.next]
	if to.bytes != s.layout.bytes() {
		return fmt.Errorf("a batch of %d bytes is fed to memory of %d", s.layout.bytes(), to.bytes)
	}
	if f.landing != nil {
		if err := f.landing.copy(f.gpu, s, to); err != nil {
			return err
		}
		f.made, f.next = 0, 1-f.next
		return nil
	}
	f.gpu.count.Copies++
	err := cu.MemcpyHtoDAsync(to.address, s.memory, to.bytes, f.gpu.stream)
	if err != nil {
		return called("cuMemcpyHtoDAsync", err)
	}
	if err := s.copied.Record(f.gpu.stream); err != nil {
		// Nothing else says when the copy is done.
		return errors.Join(called("cuEventRecord", err), f.gpu.wait())
	}
	s.underWay, f.made = true, 0
	f.next = 1 - f.next
	return nil
}

// wait waits until the device has copied the batch that was sent from here.
func (s *staging) wait(g *gpu) error {
	if !s.underWay {
		return nil
	}
	if err := g.waitForEvent(s.copied); err != nil {
		return err
	}
	s.underWay = false
	return nil
}

// fit makes room for so many bytes, in new memory unless there is as much.
func (s *staging) fit(bytes int64) error {
	if !s.hasCopied {
		var err error
		// The host's threads make a batch meanwhile: the one that waits leaves its core to them.
		if s.copied, err = cu.MakeEvent(cu.BlockingSyncEvent | cu.DisableTiming); err != nil {
			return called("cuEventCreate", err)
		}
		s.hasCopied = true
	}
	if bytes <= s.bytes {
		return nil
	}
	if err := s.free(); err != nil {
		return err
	}
	memory, err := allocateHost(bytes)
	if err != nil {
		return fmt.Errorf("%d bytes of the host's memory that stay in their place: %w; end other "+
			"programs or train with a smaller -batch", bytes, err)
	}
	s.memory, s.bytes = memory, bytes
	return nil
}

// free frees the memory, whose copy is done.
func (s *staging) free() error {
	if s.memory == nil {
		return nil
	}
	err := called("cuMemFreeHost", cu.MemFreeHost(s.memory))
	s.memory, s.bytes, s.images, s.batch = nil, 0, 0, device.Batch{}
	return err
}

// close frees the stagings, from which nothing is copied any more in the stream of the steps.
func (f *feeding) close() error {
	var all []error
	if f.landing != nil {
		all = append(all, f.landing.close())
	}
	for i := range f.stagings {
		s := &f.stagings[i]
		all = append(all, s.free())
		if s.hasCopied {
			all = append(all, called("cuEventDestroy", cu.DestroyEvent(&s.copied)))
		}
		*s = staging{}
	}
	return errors.Join(all...)
}

// Batch implements device.Session.
func (s *session) Batch(images int) (batch *device.Batch, err error) {
	err = s.do(func() error {
		batch, err = s.feeding.batch(images)
		return err
	})
	return batch, err
}

// StepFed implements device.Session.
func (s *session) StepFed() error {
	return s.do(func() error {
		if s.job.Set != nil {
			return errors.New("a batch is fed to steps that take the images of a set")
		}
		p, err := s.fed(s.trainingProgram)
		if err != nil {
			return err
		}
		if err := s.takePace(); err != nil {
			return err
		}
		return p.run()
	})
}

// EvaluateFed implements device.Session.
func (s *session) EvaluateFed(combinations dataset.Combinations, averaged bool,
	logits []float32) (loss float64, correct int, err error) {
	err = s.do(func() error {
		p, err := s.fed(func(batch int) (*program, error) {
			return s.evaluationProgram(nil, combinations, evaluated{batch, averaged})
		})
		if err != nil {
			return err
		}
		loss, correct, err = p.answers(logits)
		return err
	})
	return loss, correct, err
}

// fed brings the batch that was made last to the program for as many images.
func (s *session) fed(programOf func(batch int) (*program, error)) (*program, error) {
	if s.feeding.made == 0 {
		return nil, errors.New("no batch was made to be fed")
	}
	p, err := programOf(s.feeding.made)
	if err != nil {
		return nil, err
	}
	return p, s.feeding.send(p.fed)
}

// feedStep gives a step's program the block that its images are fed to: that of its batch, or one of
// its own where it has several.
func (s *session) feedStep(p *program, images int, batches []span) (err error) {
	switch {
	case s.job.Set != nil:
		return nil
	case len(batches) > 1:
		total := newFedLayout(images, s.feeding.size).total
		p.fed, err = p.memory.allocateFloats("a step's batches that are fed", total)
		return err
	}
	of, err := s.trainingPass(images)
	if err != nil {
		return err
	}
	p.fed = of.block
	return nil
}

// feedBatch returns what brings a batch of a step from the step's block to the pass's own, nothing
// where these are one.
func (s *session) feedBatch(p *program, of *pass, images int, batch span) []launch {
	if p.fed == nil || p.fed == of.block {
		return nil
	}
	size := s.feeding.size
	step := newFedLayout(images, size)
	var all []launch
	for _, part := range []struct {
		to        *buffer
		at, every int
	}{{of.fed, 0, size}, {of.labels, step.labels, 1}, {of.others, step.others, 1},
		{of.shares, step.shares, 1}} {
		values := 4 * int64(batch.length*part.every)
		from := p.fed.part(4*int64(part.at+batch.offset*part.every), values)
		all = append(all, launch{name: "cuMemcpyDtoDAsync", run: func(on *lane) error {
			return copyAsync(part.to.address, from.address, values, on.stream)
		}})
	}
	return all
}
