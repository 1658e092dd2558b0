package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/train"
)

// limitThreads has Gorgonia's matrix products use as many threads as -threads says: they use as
// many as Go does.
func (o *options) limitThreads() {
	if o.threads > 0 {
		runtime.GOMAXPROCS(o.threads)
	}
}

// fit trains as asked, and writes the run's folder.
func fit(ctx context.Context, o *options, out io.Writer, warnings *warnings,
	width func() int) (err error) {
	o.limitThreads()
	if o.find.on {
		return findRate(ctx, o, out)
	}
	session, err := begin(ctx, o, out, warnings)
	if err != nil {
		return untrained(err)
	}
	defer session.close()
	trainer := session.trainer
	fmt.Fprintln(out, trainer.Sets())
	if sets := trainer.Sets(); sets.Test != nil && sets.Test.SHA256 == sets.Training.SHA256 {
		fmt.Fprintln(out,
			"note: the test set is the training set: its accuracy says nothing of other images")
	} else if session.shared != "" {
		fmt.Fprintln(out, session.shared)
	}
	fmt.Fprint(out, trainer.Network())
	o.tellPixels(trainer, out)
	tellLabels(trainer, out)
	tellLoss(trainer, out)
	for _, note := range o.initNotes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	fmt.Fprintf(out, "%s, seed %d, run %s\n",
		session.device.describe(trainer.Engine(), trainer.Config().Precision), trainer.Config().Seed,
		session.dir.Path())
	o.ranks.tell(out, trainer.Config())
	if features := trainer.Features(); features != "" {
		fmt.Fprintln(out, features)
	}
	if session.testsBefore(o) {
		// Pixels fed in another way than the model was trained with show here.
		evaluation, err := trainer.EvaluateTogether(ctx, session.test)
		if err != nil {
			return untrained(err)
		}
		fmt.Fprintf(out, "%s before training, pixels %s: loss %.4f, %s %.2f %% on %s\n",
			o.from, trainer.Config().Pixels, evaluation.Loss,
			strings.ToLower(session.test.Info().AccuracyName()), 100*evaluation.Accuracy,
			session.test.Info().Name)
	}
	tellRecipe(trainer, out)
	tellIdle(trainer, out)
	if !o.resume && o.from == "" && o.init == "" && len(trainer.Config().Freeze) > 0 {
		fmt.Fprintln(out,
			"note: -freeze keeps weights as they were drawn, which have learned nothing; -from or -init gives weights that have")
	}

	curves := o.openCurves(trainer, warnings)
	defer curves.close()
	tracking := o.startTracking(session)
	defer func() { tracking.end(ctx, err) }()
	reporter := train.NewReporter(out, width, trainer.Config().Epochs)
	err = trainer.Fit(ctx, train.Callbacks{
		Step: reporter.Step,
		Save: session.save,
		Epoch: func(epoch *train.Epoch) error {
			if err := session.measure(ctx, epoch); err != nil {
				return err
			}
			session.writeHistory()
			curves.epoch(*epoch)
			tracking.epoch(*epoch)
			return reporter.Epoch(*epoch)
		},
	})
	if err != nil {
		return session.failed(err, o)
	}
	if err := session.finish(ctx, out); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return fmt.Errorf(
				"interrupted after the training's end: its state is saved in %s, its last evaluation is missing\n%s",
				session.saved, o.goOnLine(trainer.Network()))
		}
		return fmt.Errorf("%w; the run's state is saved in %s\n%s", err, session.saved,
			o.goOnLine(trainer.Network()))
	}
	return nil
}

// untrained says what an interruption before the first step comes to.
func untrained(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before anything was trained: there is nothing to save")
	}
	return err
}

// session is one run of the command on one run folder.
type session struct {
	dir     train.RunDir
	device  chosenDevice
	test    dataset.Source // nil if there is none
	shared  string         // what there is to say of test images in the training set
	trainer *train.Trainer
	// saved is the checkpoint written last.
	saved    string
	warnings *warnings
	release  func() error // the lock of the run's folder
}

// failed says where an ended run stands, and how to go on.
func (s *session) failed(err error, o *options) error {
	if errors.Is(err, train.ErrInterrupted) {
		return fmt.Errorf("%w; its state is saved in %s\n%s", train.ErrInterrupted, s.saved,
			o.goOnLine(s.trainer.Network()))
	}
	var diverged *train.DivergedError
	switch {
	case s.saved == "":
		return fmt.Errorf("%w; the last good checkpoint is none: the run had not saved one yet", err)
	case errors.As(err, &diverged):
		return fmt.Errorf("%w; the last good checkpoint is %s, which -init takes", err, s.saved)
	}
	return fmt.Errorf("%w; the last good checkpoint is %s\n%s", err, s.saved,
		o.goOnLine(s.trainer.Network()))
}

func (o *options) runName(network *builder.Network) string {
	if o.name != "" {
		return o.name
	}
	return network.Name()
}

// begin starts a new run, or opens the one to resume.
func begin(ctx context.Context, o *options, out io.Writer, warnings *warnings) (*session, error) {
	s := &session{warnings: warnings}
	open := s.start
	if o.resume {
		open = s.resume
	}
	if err := open(ctx, o, out); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close frees what the session holds, as far as it has come.
func (s *session) close() {
	if s.trainer != nil {
		s.trainer.Close()
	}
	if s.device.close != nil {
		s.device.close()
	}
	if s.release != nil {
		// The lock ends with the process in any case.
		_ = s.release()
	}
}

// lock makes this process the owner of the run's folder.
func (s *session) lock(path string) (err error) {
	s.release, err = train.LockRun(path)
	if errors.Is(err, train.ErrNoLocks) {
		s.warnings.about("the run's lock", err, "training goes on without it")
		return nil
	}
	return err
}

func (s *session) start(ctx context.Context, o *options, out io.Writer) error {
	p, err := o.prepare(ctx, out)
	if err != nil {
		return err
	}
	network, config := p.network, p.config
	if s.device, err = o.chooseDevice(config, network); err != nil {
		return err
	}
	config.Device = s.device.device
	if s.trainer, err = train.New(network, p.sets.training, config, p.initial); err != nil {
		return remedied(err)
	}
	if err := o.withRemedy(s.trainer.CheckSteps(), s.device); err != nil {
		return err
	}
	origin, err := o.origin()
	if err != nil {
		return err
	}
	if origin != "" {
		s.trainer.BeganFrom(origin)
	}
	if err := s.testOn(p.sets.test); err != nil {
		return err
	}
	if err := s.trainer.Agree(ctx); err != nil || o.ranks.follows() {
		return err
	}
	s.shared = sharedNote(p.sets.training, p.sets.test)
	path := filepath.Join(o.runs, o.runName(network))
	if err := s.lock(path); err != nil {
		return err
	}
	var movedTo string
	if s.dir, movedTo, err = train.CreateRun(path); err != nil {
		return err
	}
	if movedTo != "" {
		fmt.Fprintf(out, "the earlier run is kept as %s\n", movedTo)
	}
	return s.dir.WriteConfig(network, s.trainer.Config(), s.trainer.Sets())
}

// testOn has the run tested on the set after each epoch, on none if it is nil.
func (s *session) testOn(set dataset.Source) error {
	if set == nil {
		return nil
	}
	s.test = set
	if err := s.trainer.TestOn(set); err != nil {
		return fmt.Errorf("the test set does not go with the run: %w; -test names another one, or %s",
			err, noTest)
	}
	return nil
}

// remedied adds what to do where the images do not fit the network.
func remedied(err error) error {
	var unfit *train.UnfitError
	if errors.As(err, &unfit) {
		return fmt.Errorf(
			"%w; -network names a file with a network for these images, or a known one that takes any, such as %s",
			err, zoo.Names()[0])
	}
	return err
}

// save writes a checkpoint. The history is written once an epoch is reported.
func (s *session) save() error {
	path, err := s.writeCheckpoint()
	if err != nil {
		return err
	}
	s.saved = path
	return nil
}

// restorations is how often a save makes a run's folder again: what removes a folder with
// much in it can take the new one, too, before it is done.
const restorations = 5

// writeCheckpoint writes a checkpoint. If somebody has removed the run's folder, it is made
// again.
func (s *session) writeCheckpoint() (string, error) {
	checkpoint := s.trainer.Checkpoint()
	path, err := s.dir.WriteCheckpoint(checkpoint)
	for range restorations {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		s.warnings.about("the run's folder", err,
			"it was removed, and is made again with the run's state")
		if err = s.dir.Restore(); err == nil {
			path, err = s.dir.WriteCheckpoint(checkpoint)
		}
		if err == nil {
			err = s.dir.WriteConfig(s.trainer.Network(), s.trainer.Config(), s.trainer.Sets())
		}
	}
	return path, err
}

// writeHistory writes what can be told of the epochs so far, which the checkpoint has too.
func (s *session) writeHistory() {
	history := s.trainer.Progress().History
	if len(history) == 0 {
		return
	}
	err := s.dir.WriteHistory(s.trainer.Network().Name(), history)
	var picture *train.PictureError
	if errors.As(err, &picture) {
		s.warnings.about("the run's picture", err, "training goes on without it")
		return
	}
	s.warnings.about("the run's history", err, "training goes on, and the checkpoints have it")
}

// withOthers reports whether other ranks take part in what is evaluated.
func (s *session) withOthers() bool {
	c := s.trainer.Config().Communicator
	return c != nil && c.Size() > 1
}

// testsBefore reports whether the test set is evaluated before the first step.
func (s *session) testsBefore(o *options) bool {
	return o.from != "" && o.fineTuning.head == "" && s.test != nil
}

// measure evaluates the test set after an epoch. Its error is an interruption.
func (s *session) measure(ctx context.Context, epoch *train.Epoch) error {
	if s.test == nil {
		return nil
	}
	evaluation, err := s.trainer.EvaluateTogether(ctx, s.test)
	switch {
	case err == nil:
		epoch.TestAccuracy = &evaluation.Accuracy
	case s.withOthers() && !train.OnAllRanks(err), !s.withOthers() && ctx.Err() != nil:
		return err // with others, all go on without the set: an interruption ends the next step of all
	default:
		s.warnings.about("the test set", err, "training goes on without it")
		s.test = nil
	}
	return nil
}

// finish writes the final weights and the trainer's own answer on the test set,
// and prints the experiment's closing lines.
func (s *session) finish(ctx context.Context, out io.Writer) error {
	progress := s.trainer.Progress()
	result, kept := progress.Result(s.trainer.Config()), ""
	if result.Epoch != progress.Epochs {
		kept = fmt.Sprintf(" (of epoch %d, whose weights are kept)", result.Epoch)
	}
	fmt.Fprintf(out, "Stopped: %s.\n", progress.Finished)
	fmt.Fprintf(out, "Final training loss: %.4f%s\n", result.MeanLoss, kept)
	if err := train.WriteWeights(s.dir.WeightsPath(), s.trainer.Weights()); err != nil {
		return err
	}
	if s.test == nil {
		return nil
	}
	evaluation, err := s.trainer.EvaluateTogether(ctx, s.test)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s = %.2f %%\n", s.test.Info().AccuracyName(), 100*evaluation.Accuracy)
	if err := s.dir.WriteLogits(s.test.Info().Name, evaluation); err != nil {
		return err
	}
	err = s.writeMetrics(ctx, evaluation, result.Epoch)
	s.warnings.about("the test set's figures", err, "the run is whole without them")
	return nil
}
