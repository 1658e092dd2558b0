//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
)

// program is what a session does at a time: fetch the images of a batch, run the graph, and in
// training book the loss and learn from it, of several batches where a step has them.
type program struct {
	gpu      *gpu
	memory   pool
	pass     *pass // of its own; nil in training
	launches []launch
	// fed is the block of a batch that is fed, nil where the images are on the device.
	fed *buffer

	// A program runs launch by launch once, so that every library has loaded what
	// it needs, is captured then, and launched whole from then on: once, or so many steps in a row
	// as one graph.
	ran      bool
	capture  bool
	steps    int // at least 1
	captured struct{ one, several *executable }
}

// run puts the program into the streams. It does not wait.
func (p *program) run() error {
	if !p.ran || !p.capture {
		p.ran = true
		return runAll(p.gpu, p.launches)
	}
	return p.launch(&p.captured.one, 1)
}

// runSteps is run so many times in a row, at most steps.
func (p *program) runSteps(times int) error {
	if p.ran && p.capture && times > 1 && times == p.steps {
		return p.launch(&p.captured.several, times)
	}
	for range times {
		if err := p.run(); err != nil {
			return err
		}
	}
	return nil
}

// launch launches the graph of so many runs, which it captures once.
func (p *program) launch(graph **executable, times int) error {
	if *graph == nil {
		captured, err := p.capturing(times)
		if err != nil {
			return fmt.Errorf("%w; %s=0 runs without CUDA graphs", err, GraphsVariable)
		}
		*graph = &captured
	}
	p.gpu.count.Graphs++
	return (*graph).launch(p.gpu.stream)
}

// capturing records so many runs as a CUDA graph, without running them.
func (p *program) capturing(times int) (executable, error) {
	if err := beginCapture(p.gpu.stream); err != nil {
		return executable{}, err
	}
	before := p.gpu.count.Launches
	var runErr error
	for run := 0; run < times && runErr == nil; run++ {
		runErr = runAll(p.gpu, p.launches)
	}
	p.gpu.count.Launches = before // nothing was launched
	// A capture has to end, also one that failed; and what it has not joined then is dropped with it.
	captured, err := endCapture(p.gpu.stream)
	p.gpu.second.forget()
	if runErr != nil {
		if err == nil {
			err = captured.destroy()
		}
		return executable{}, errors.Join(fmt.Errorf("capture a step: %w", runErr), err)
	}
	return captured, err
}

func (p *program) close() error {
	var all []error
	for _, graph := range []**executable{&p.captured.one, &p.captured.several} {
		if *graph != nil {
			all = append(all, (*graph).destroy())
			*graph = nil // gone, also where that failed
		}
	}
	if p.pass != nil {
		all = append(all, p.pass.close())
	}
	return errors.Join(append(all, p.memory.free())...)
}

// trainingProgram returns the program of a step of so many images, making it once.
func (s *session) trainingProgram(images int) (*program, error) {
	if p, ok := s.programs[images]; ok {
		return p, nil
	}
	p := &program{gpu: s.gpu, memory: pool{gpu: s.gpu}, capture: s.graphs}
	if err := s.compileStep(p, images); err != nil {
		return nil, errors.Join(fmt.Errorf("compile a step of %d images: %w", images, err), p.close())
	}
	p.steps = s.stepsOf(p)
	s.programs[images] = p
	return p, nil
}

// compileStep appends the batches of a step, and what is learned from them.
func (s *session) compileStep(p *program, images int) error {
	if s.deals() {
		return s.compileDealt(p, images)
	}
	batches := s.batches(images)
	if err := s.feedStep(p, images, batches); err != nil {
		return err
	}
	var booked booking
	for i, batch := range batches {
		of, err := s.trainingPass(batch.length)
		if err != nil {
			return err
		}
		begin, err := s.beginBatch(of, s.training, s.order, s.ledger, batch)
		if err != nil {
			return err
		}
		p.launches = append(append(p.launches, begin), s.feedBatch(p, of, images, batch)...)
		if err := s.round(p, of, i == 0); err != nil {
			return err
		}
		p.launches = append(p.launches, of.machine.launches...)
		booked = s.booked(of, images)
		if len(batches) > 1 {
			if booked, err = s.accumulate(p, booked, batch); err != nil {
				return err
			}
		}
	}
	return s.learn(p, booked)
}

// round appends the launches that round a batch that is fed, and with the first one of a step the
// weights.
func (s *session) round(p *program, of *pass, first bool) error {
	images, err := s.roundBatch(of)
	if err != nil {
		return err
	}
	p.launches = append(p.launches, images...)
	if !first {
		return nil
	}
	weights, err := s.narrow(s.weights, s.halves.trained, s.total)
	p.launches = append(p.launches, weights...)
	return err
}

// batches returns those of a step of so many images.
func (s *session) batches(images int) []span {
	size := images
	if s.job.Batch > 0 {
		size = s.job.Batch
	}
	var all []span
	for at := 0; at < images; at += size {
		all = append(all, span{at, min(size, images-at)})
	}
	return all
}
