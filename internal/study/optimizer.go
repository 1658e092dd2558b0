package study

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/c-bata/goptuna"
	"github.com/c-bata/goptuna/medianstopping"
	"github.com/c-bata/goptuna/tpe"

	"slipway/train"
)

// optimizer proposes settings, and remembers them on the disk.
type optimizer struct {
	search *Search
	path   string
	name   string // of the search in its storage
	store  *journal
	study  *goptuna.Study
	pruner goptuna.Pruner
	// judging is held while a trial's epoch is told and compared: goptuna's storage hands
	// out maps that other trials' epochs are written into.
	judging sync.Mutex
}

// openOptimizer opens the search's journal in the folder. A study file that was changed begins
// another search, with a journal of its own.
func openOptimizer(dir string, f *File) (*optimizer, error) {
	s := f.Search
	name, err := studyName(f)
	if err != nil {
		return nil, err
	}
	o := &optimizer{search: s, path: filepath.Join(dir, "search-"+name+".jsonl"), name: name}
	if o.store, err = openJournal(o.path); err != nil {
		return nil, err
	}
	direction := goptuna.StudyDirectionMinimize
	if s.Objective == objectiveAccuracy {
		direction = goptuna.StudyDirectionMaximize
	}
	pruner := medianstopping.NewMedianPruner()
	pruner.NWarmUpSteps = s.Warmup
	o.pruner = pruner
	o.study, err = goptuna.CreateStudy(o.name,
		goptuna.StudyOptionStorage(o.store), goptuna.StudyOptionDirection(direction),
		goptuna.StudyOptionLogger(silent{}))
	if err != nil {
		o.close()
		return nil, fmt.Errorf("%s: %w", o.path, err)
	}
	return o, nil
}

// studyName is the search's name in its storage: what it depends on, but for the
// number of trials, which may grow. What most searches do not have is left out where it
// is absent: a name that changes begins a search anew.
func studyName(f *File) (string, error) {
	s := *f.Search
	s.Trials, s.line = 0, 0
	s.space = slices.Clone(s.space)
	for i := range s.space {
		s.space[i].line = 0
	}
	var fixed []string
	for _, v := range f.Fixed {
		fixed = append(fixed, fmt.Sprintf("%s=%v", v.key, v.value))
	}
	content := fmt.Appendf(nil, "%+v %v %v %v %v %v %v", s, f.Base, fixed, f.Seeds, f.Images, f.Data,
		f.quick)
	if len(f.Networks) > 0 {
		// Go writes the keys of maps in order.
		networks, err := json.Marshal(f.Networks)
		if err != nil {
			return "", fmt.Errorf("%s: name of the search: %w", f.Path, err)
		}
		content = append(content, networks...)
	}
	from := []any{lastOf(f.Fixed, keyFrom)}
	for _, p := range s.space {
		if p.key == keyFrom {
			from = append(from, p.choices...)
		}
	}
	for _, value := range from {
		name, ok := value.(string)
		if !ok || name == fromNone {
			continue
		}
		model, loaded := f.starts[name]
		if !loaded {
			return "", fmt.Errorf("%s: name of the search: from %s: the model is not loaded", f.Path, name)
		}
		// Under its name may lie other weights by now.
		content = fmt.Appendf(content, " from %s", model.digest)
	}
	if f.quick && f.Quick.Epochs != quickEpochs {
		content = fmt.Appendf(content, " %d epochs", f.Quick.Epochs)
	}
	digest := sha256.Sum256(content)
	return fmt.Sprintf("%s-%x", f.Name, digest[:4]), nil
}

func (o *optimizer) close() {
	// All that was written is on the disk already.
	_ = o.store.close()
}

// trials returns those that the storage knows, in their order.
func (o *optimizer) trials() ([]goptuna.FrozenTrial, error) {
	trials, err := o.study.GetTrials()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.path, err)
	}
	slices.SortFunc(trials, func(a, b goptuna.FrozenTrial) int { return a.Number - b.Number })
	return trials, nil
}

// again takes up a trial that was proposed before.
func (o *optimizer) again(known goptuna.FrozenTrial) *trial {
	return &trial{handle: goptuna.Trial{Study: o.study, ID: known.ID}, number: known.Number}
}

// ask makes a new trial. Its values are drawn by values.
func (o *optimizer) ask(number int) (*trial, error) {
	id, err := o.store.CreateNewTrial(o.study.ID)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.path, err)
	}
	return &trial{handle: goptuna.Trial{Study: o.study, ID: id}, number: number}, nil
}

// values returns the trial's values, proposing those that it has none of yet.
func (o *optimizer) values(t *trial) (values []value, err error) {
	// goptuna panics where its estimator meets what it does not expect.
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("goptuna proposes no setting for trial %d: %v", t.number, problem)
		}
	}()
	frozen, err := o.store.GetTrial(t.handle.ID)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.path, err)
	}
	for i, p := range o.search.space {
		v, ok := frozen.Params[p.key]
		if !ok {
			// goptuna draws in part from Go's global source, which this makes a
			// function of the seed, the trial and the parameter. It needs the setting
			// randseednop=0 of go.mod.
			seed := int64(o.search.Seed)<<32 + int64(t.number)<<8 + int64(i)
			rand.Seed(seed) //lint:ignore SA1019 goptuna takes no other source
			o.study.Sampler = tpe.NewSampler(tpe.SamplerOptionSeed(seed))
			if v, err = p.suggest(&t.handle); err != nil {
				return nil, fmt.Errorf("%s: %s of trial %d: %w", o.path, p.key, t.number, err)
			}
		}
		values = append(values, value{p.key, p.external(v), p.line})
	}
	return values, nil
}

// suggest has the parameter drawn. A whole number is a discrete one to goptuna, whose
// own never draws the highest at random.
func (p parameter) suggest(t *goptuna.Trial) (any, error) {
	switch p.kind {
	case kindChoice:
		return t.SuggestCategorical(p.key, p.names())
	case kindLog:
		return t.SuggestLogFloat(p.key, p.low, p.high)
	case kindInt:
		return t.SuggestDiscreteFloat(p.key, p.low, p.high, 1)
	}
	return t.SuggestFloat(p.key, p.low, p.high)
}

// names writes the choices as texts, which is what goptuna chooses among.
func (p parameter) names() []string {
	var names []string
	for _, choice := range p.choices {
		names = append(names, show(choice))
	}
	return names
}

// external returns the setting's value of what goptuna drew.
func (p parameter) external(drawn any) any {
	switch v := drawn.(type) {
	case string:
		if i := slices.Index(p.names(), v); i >= 0 {
			return p.choices[i]
		}
	case float64:
		if p.kind != kindInt {
			return p.round(v)
		}
	}
	return drawn
}

// judge returns what is asked after each epoch of the trial.
func (o *optimizer) judge(t *trial) func(train.Epoch) (bool, error) {
	return func(epoch train.Epoch) (bool, error) {
		o.judging.Lock()
		defer o.judging.Unlock()
		frozen, err := o.store.GetTrial(t.handle.ID)
		if err != nil {
			return false, fmt.Errorf("%s: %w", o.path, err)
		}
		if _, told := frozen.IntermediateValues[epoch.Epoch]; !told {
			if err := o.store.SetTrialIntermediateValue(t.handle.ID, epoch.Epoch,
				o.objective(epoch)); err != nil {
				return false, fmt.Errorf("%s: %w", o.path, err)
			}
			if frozen, err = o.store.GetTrial(t.handle.ID); err != nil {
				return false, fmt.Errorf("%s: %w", o.path, err)
			}
		}
		prune, err := o.pruner.Prune(o.study, frozen)
		if err != nil {
			return false, fmt.Errorf("%s: %w", o.path, err)
		}
		return !prune, nil
	}
}

func (o *optimizer) objective(epoch train.Epoch) float64 {
	if o.search.Objective == objectiveAccuracy {
		return *epoch.ValidationAccuracy
	}
	return *epoch.ValidationLoss
}

// tell records what came out, if that is not known yet.
func (o *optimizer) tell(t *trial, result Result) error {
	frozen, err := o.store.GetTrial(t.handle.ID)
	if err != nil {
		return fmt.Errorf("%s: %w", o.path, err)
	}
	if frozen.State.IsFinished() {
		return nil
	}
	state := goptuna.TrialStateComplete
	switch {
	case strings.HasPrefix(result.Stopped, stoppedDiverged):
		state = goptuna.TrialStateFail
	case result.Stopped == stoppedPruned:
		state = goptuna.TrialStatePruned
	}
	if state != goptuna.TrialStateFail {
		last := result.History[len(result.History)-1]
		err = o.store.SetTrialValue(t.handle.ID, o.objective(last))
	}
	err = errors.Join(err, o.store.SetTrialUserAttr(t.handle.ID, "run", result.ID),
		o.store.SetTrialState(t.handle.ID, state))
	if err != nil {
		return fmt.Errorf("%s: %w", o.path, err)
	}
	return nil
}

// silent keeps goptuna from printing: the study's own lines say as much.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
