package study

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/lease"
	"slipway/internal/mlflow"
	"slipway/train"
)

// poolFolder is the folder of all runs, beside those of the studies.
const poolFolder = "pool"

// Options are what a study's execution may be told.
type Options struct {
	// Root is the folder of all studies. The short form of a study needs another
	// one than the full form.
	Root string
	// Parallel and Threads are used instead of the file's if they are not 0.
	Parallel, Threads int
	// DataDir is a folder with MNIST's training files.
	DataDir string
	// TensorBoard is a folder for event files, one folder a run; none if empty.
	TensorBoard string
	// MLflow says where MLflow is told of each run; nowhere if it has no URI. Without an
	// experiment's name that is the study's.
	MLflow mlflow.Flags
	// Part is the share of the study's runs that is trained, all of them if it is zero.
	Part Part
	// Progress is told how it goes.
	Progress Progress
	// Messages takes a line when data is brought.
	Messages func(string)
}

// Progress is told how a study goes. Its methods are called from several
// goroutines, one at a time.
type Progress interface {
	// Planned says which runs there are so far, which of them are finished already,
	// and how many there will be: a search plans on the way.
	Planned(runs []Run, finished map[int]Result, total int)
	// Began says that a run starts, with so many epochs done before.
	Began(index int, epochs int)
	// Step and Epoch report what each step and epoch came to.
	Step(index int, report train.StepReport)
	Epoch(index int, epoch train.Epoch)
	// Finished gives the result of a run.
	Finished(index int, result Result)
	// Evaluating says that so many finished runs are evaluated on images that are
	// damaged in some way.
	Evaluating(corruption string, runs int)
}

// ErrInterrupted is returned by Execute when its context ended. Every run under
// way is saved.
var ErrInterrupted = errors.New("the study was interrupted")

// Execute trains what the study has not trained yet and returns all its results,
// in the order of settings and seeds. A run that any study of the folder has
// finished is not run again; one that was under way goes on. The file's models are loaded if they
// are not.
//
// Any number of processes may work in the folder, also on several machines that share it by NFS:
// each run is trained by one of them, and Execute waits for what others train. With a Part it
// trains and waits for that share alone, and returns its results. A search is one process's.
func Execute(ctx context.Context, f *File, options Options) ([]Result, error) {
	var messages io.Writer
	if options.Messages != nil {
		messages = lineWriter(options.Messages)
	}
	if err := f.Load(ctx, messages); err != nil {
		return nil, err
	}
	e, err := newExecution(ctx, f, options)
	if err != nil {
		return nil, err
	}
	if f.Search != nil {
		err = e.searchAlone(ctx)
	} else {
		err = e.all(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := e.robustness(ctx); err != nil {
		return nil, err
	}
	// Not by the plan in the folder, which another process may have written since, of another form of
	// the study.
	results, err := e.planned.results(e.dir)
	if err != nil {
		return nil, err
	}
	own := e.ownIDs()
	return slices.DeleteFunc(results, func(r Result) bool { return !own[r.ID] }), nil
}

// all trains the runs that the file lists, or the part of them.
func (e *execution) all(ctx context.Context) error {
	runs, err := e.file.Runs()
	if err != nil {
		return err
	}
	if err := e.plan(runs); err != nil {
		return err
	}
	own := e.own()
	for _, t := range own {
		if err := e.trainable(t); err != nil {
			return err // before hours of others
		}
	}
	return e.runAll(ctx, own)
}

// trainable reports a run that is left, and that this CPU does not compute.
func (e *execution) trainable(t *task) error {
	if _, done := e.results[t.id]; done {
		return nil
	}
	if err := t.Spec.Config.CheckCPU(); err != nil {
		return fmt.Errorf("run %s (%s, seed %d), which is on the CPU: %w", t.id, t.Setting, t.Seed, err)
	}
	return nil
}

// searchAlone searches, if no other process does.
func (e *execution) searchAlone(ctx context.Context) error {
	claims := lease.Open(e.dir, 0, 0)
	claim, err := claims.Take(searchClaim)
	// An owner that was killed on another machine is known by what it does not do for a minute.
	for held := (*lease.HeldError)(nil); errors.As(err, &held); claim, err = claims.Take(searchClaim) {
		if held.Alive {
			return fmt.Errorf(
				"%s: another experiment run searches in %s: %v; a search proposes its settings "+
					"in one process: wait for it, or give another folder with -runs", e.file.Path, e.options.Root,
				held.Owner)
		}
		select {
		case <-ctx.Done():
			return ErrInterrupted
		case <-time.After(look):
		}
	}
	if err != nil {
		return fmt.Errorf("claim the search of %s: %w", e.dir, err)
	}
	defer claim.Release()
	searching, stop := claim.Context(ctx)
	defer stop()
	err = e.search(searching)
	if err != nil && ctx.Err() == nil && claim.Check() != nil {
		return fmt.Errorf("%s: the search: %w", e.file.Path, lease.ErrLost)
	}
	return err
}

// execution is a study at work.
type execution struct {
	file     *File
	options  Options
	dir      string // of the study
	poolDir  string
	sets     data
	test     dataset.Info // of the whole test set
	keys     struct{ training, test string }
	parallel int
	threads  int
	claims   *lease.Folder
	planned  Plan
	tasks    []*task
	frozen   bool              // that drawn weights are frozen is told
	results  map[string]Result // of finished runs, by ID

	mutex  sync.Mutex // guards options.Progress, results and warned
	warned bool       // of curves that could not be written
	// untracked: it is told that MLflow does not know all.
	untracked bool
}

func newExecution(ctx context.Context, f *File, options Options) (*execution, error) {
	e := &execution{
		file: f, options: options, dir: filepath.Join(options.Root, f.Name),
		poolDir: filepath.Join(options.Root, poolFolder),
		threads: f.Threads, parallel: f.Parallel, results: make(map[string]Result),
	}
	if f.Name == poolFolder {
		return nil, fmt.Errorf("%s: a study may not be called %q; the runs' folder is", f.Path,
			poolFolder)
	}
	if options.Threads > 0 {
		e.threads = options.Threads
	}
	if options.Parallel > 0 {
		e.parallel = options.Parallel
	}
	if e.parallel == 0 {
		e.parallel = max(1, runtime.GOMAXPROCS(0)/e.threads)
	}
	if most := cli.MostThreads(); e.threads > most || e.parallel > most {
		return nil, fmt.Errorf(
			"%s: %d runs at a time of %d threads each; of either %d is the most for this machine",
			f.Path, e.parallel, e.threads, most)
	}
	if f.Search != nil && options.Part.Of > 0 {
		return nil, fmt.Errorf(
			"%s: part %v of a search: a search proposes its settings by what came out before, in one "+
				"process; run it without a part", f.Path, options.Part)
	}
	if err := e.open(ctx); err != nil {
		return nil, err
	}
	known := *f
	known.classes = max(e.sets.training.Info().Classes, e.sets.test.Info().Classes)
	e.file = &known
	for _, dir := range []string{e.dir, e.poolDir} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, fmt.Errorf("create study: %w", err)
		}
	}
	// Figures of the short form answer nothing, and must not pass for those that do.
	if plan, err := ReadPlan(e.dir); err == nil && plan.Quick != f.quick {
		return nil, fmt.Errorf("%s holds the %s of the study; give another folder with -runs for the %s",
			e.dir, formName(plan.Quick), formName(f.quick))
	}
	e.claims = lease.Open(filepath.Join(e.poolDir, claimsFolder), 0, 0)
	return e, nil
}

func formName(quick bool) string {
	if quick {
		return "short form"
	}
	return "full form"
}

// lineWriter hands what is written to a function.
type lineWriter func(string)

func (w lineWriter) Write(text []byte) (int, error) {
	w(string(text))
	return len(text), nil
}

// add gives a run its address, and a place in the plan.
func (e *execution) add(run Run) (*task, error) {
	id, err := run.Spec.id(e.keys.training, e.keys.test)
	if err != nil {
		return nil, err
	}
	if len(run.Spec.Config.Freeze) > 0 && run.Spec.start == nil && !e.frozen {
		e.frozen = true
		if e.options.Messages != nil {
			e.options.Messages(
				fmt.Sprintf("note: setting %s freezes weights as they were drawn, which have learned nothing; "+
					"from names a model that has\n", run.Setting))
		}
	}
	t := &task{Run: run, id: id, study: e.file.Name, index: len(e.tasks)}
	e.tasks = append(e.tasks, t)
	e.planned.Runs = append(e.planned.Runs,
		PlannedRun{ID: id, Setting: run.Setting, Values: run.Values, Seed: run.Seed})
	return t, nil
}

// plan writes which runs the study has, and finds those that are finished.
func (e *execution) plan(runs []Run) error {
	e.planned = Plan{Study: e.file.Name, Question: e.file.Question, Pool: "../" + poolFolder,
		Quick: e.file.quick, Test: e.test}
	settings := make(map[string]string)
	for _, run := range runs {
		t, err := e.add(run)
		if err != nil {
			return err
		}
		if other, twice := settings[t.id]; twice {
			return fmt.Errorf("%s: the settings %q and %q are one and the same run; remove one of them",
				e.file.Path, other, run.Setting)
		}
		settings[t.id] = run.Setting
		if err := e.find(t); err != nil {
			return err
		}
	}
	e.announce()
	return e.planned.Write(e.dir)
}

// find looks whether the run is finished.
func (e *execution) find(t *task) error {
	result, err := ReadResult(filepath.Join(e.poolDir, t.id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e.results[t.id] = result
	return nil
}

// announce tells which runs there are by now.
func (e *execution) announce() {
	var runs []Run
	finished := make(map[int]Result)
	for i, t := range e.tasks {
		runs = append(runs, t.Run)
		if result, ok := e.results[t.id]; ok && e.options.Part.has(i) {
			finished[i] = result
		}
	}
	total := len(e.own())
	if e.file.Search != nil {
		total = e.file.Search.Trials
	}
	e.options.Progress.Planned(runs, finished, total)
}

// interrupted reports whether a run ended with its context, and has lost nothing.
func interrupted(err error) bool {
	return errors.Is(err, train.ErrInterrupted) || errors.Is(err, context.Canceled)
}

// run executes one task and records its result.
func (e *execution) run(ctx context.Context, t *task) error {
	report := func(tell func(Progress)) {
		e.mutex.Lock()
		defer e.mutex.Unlock()
		tell(e.options.Progress)
	}
	curves, tracked := new(curves), new(tracked)
	defer func() { e.tell(curves.close()) }()
	result, err := t.execute(ctx, e.poolDir, e.sets, e.threads, observer{
		began: func(progress train.Progress) {
			report(func(p Progress) { p.Began(t.index, progress.Epochs) })
			if e.options.TensorBoard != "" {
				e.tell(curves.open(filepath.Join(e.options.TensorBoard, e.file.Name), t, progress.Reported()))
			}
			if e.options.MLflow.URI != "" {
				e.tellMLflow(tracked.open(e, t, progress))
			}
		},
		step: func(step train.StepReport) { report(func(p Progress) { p.Step(t.index, step) }) },
		epoch: func(epoch train.Epoch) {
			report(func(p Progress) { p.Epoch(t.index, epoch) })
			e.tell(curves.epoch(epoch))
			e.tellMLflow(tracked.epoch(epoch))
		},
	})
	if err == nil || t.isClaimed() == nil { // else it is told by who has the run now
		e.tellMLflow(tracked.end(filepath.Join(e.poolDir, t.id), result, err))
	}
	if err != nil {
		return err
	}
	report(func(p Progress) {
		e.results[t.id] = result
		p.Finished(t.index, result)
	})
	return nil
}

// tell warns of curves that could not be written, once: what is learned does not depend
// on them.
func (e *execution) tell(failed error) {
	if failed == nil {
		return
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.options.Messages != nil && !e.warned {
		e.options.Messages(
			fmt.Sprintf("warning: the runs go on, but TensorBoard's curves are not complete: %v\n", failed))
	}
	e.warned = true
}
