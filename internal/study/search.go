package study

import (
	"context"
	"fmt"
	"strings"

	"github.com/c-bata/goptuna"
	"go.yaml.in/yaml/v3"
)

// Objectives of a search. Both are of the images held out, so that the test set has
// no say in what is found.
const (
	objectiveLoss     = "validation_loss"
	objectiveAccuracy = "validation_accuracy"
)

// Search says how settings are looked for: by the tree-structured Parzen estimator
// (Bergstra and others, NIPS 2011), ending trials early that are worse than the
// median of the finished ones at the same epoch.
type Search struct {
	// Trials is how many settings are tried.
	Trials int
	// Together is how many are proposed, and trained, at a time. It is the file's
	// and not the machine's, since proposals depend on what is known by then.
	Together int
	// Objective is validation_loss or validation_accuracy.
	Objective string
	// Pruning ends trials early, but not in the first Warmup epochs.
	Pruning bool
	Warmup  int
	// Seed decides the proposals.
	Seed  uint64
	space []parameter
	line  int
}

func readSearch(node *yaml.Node) (*Search, error) {
	s := &Search{Objective: objectiveLoss, Together: 2, Pruning: true, Warmup: 1, line: node.Line}
	err := readFields(node, "search", fields{
		"trials":   counted(&s.Trials),
		"together": positive(&s.Together),
		"objective": func(node *yaml.Node) error {
			if err := into(&s.Objective)(node); err != nil {
				return err
			}
			if s.Objective != objectiveLoss && s.Objective != objectiveAccuracy {
				return at(node, "objective %q; there are %s and %s: the test set has no say in a search",
					s.Objective, objectiveLoss, objectiveAccuracy)
			}
			return nil
		},
		"pruning": into(&s.Pruning),
		"warmup":  positive(&s.Warmup),
		"seed":    into(&s.Seed),
		"space": func(node *yaml.Node) (err error) {
			s.space, err = readSpace(node)
			return err
		},
	})
	if err == nil && (s.Trials == 0 || len(s.space) == 0) {
		err = at(node, "a search needs trials, how many to run, and a space to look in")
	}
	return s, err
}

// checkSearch tries the ends of the space, so that a slip shows before the first
// trial.
func (f *File) checkSearch() error {
	s := f.Search
	if len(f.Seeds) != 1 {
		return &PlaceError{Line: s.line,
			Err: fmt.Errorf(
				"a search trains each setting from one seed, not %d; what it finds is compared by a study of its own",
				len(f.Seeds))}
	}
	for _, p := range s.space {
		if strings.HasPrefix(p.key, "loss.") && s.Objective == objectiveLoss {
			return &PlaceError{Line: p.line,
				Err: fmt.Errorf(
					"%s varies, and the validation losses of different losses do not compare: give the search the objective %s",
					p.key, objectiveAccuracy)}
		}
		for _, v := range p.ends() {
			spec, err := f.spec(f.Seeds[0], value{p.key, v, p.line})
			if err != nil {
				return err
			}
			if spec.Config.ValidationFraction == 0 {
				return &PlaceError{Line: s.line,
					Err: fmt.Errorf(
						"the objective %s needs images that are held out: give validation_fraction in fixed",
						s.Objective)}
			}
		}
	}
	return nil
}

// ends returns values between which all others lie.
func (p parameter) ends() []any {
	if p.kind == kindChoice {
		return p.choices
	}
	return []any{p.low, p.high}
}

// trial is a setting of the search on its way.
type trial struct {
	handle goptuna.Trial
	number int
	task   *task
}

// search asks for settings and trains them, some at a time, until there have been
// as many as the file says.
func (e *execution) search(ctx context.Context) error {
	s := e.file.Search
	e.planned = Plan{Study: e.file.Name, Question: e.file.Question, Pool: "../" + poolFolder,
		Quick: e.file.quick, Test: e.test, Total: s.Trials}
	optimizer, err := openOptimizer(e.dir, e.file)
	if err != nil {
		return err
	}
	defer optimizer.close()
	known, err := optimizer.trials()
	if err != nil {
		return err
	}
	for first := 0; first < s.Trials; first += s.Together {
		var trials []*trial
		for number := first; number < min(first+s.Together, s.Trials); number++ {
			var t *trial
			if number < len(known) {
				t = optimizer.again(known[number])
			} else if t, err = optimizer.ask(number); err != nil {
				return err
			}
			if err := e.addTrial(t, optimizer); err != nil {
				return err
			}
			trials = append(trials, t)
		}
		if err := e.runTrials(ctx, trials); err != nil {
			return err
		}
		// What came out is told in the order of trials and after the last of them,
		// so that proposals do not depend on which thread was faster.
		for _, t := range trials {
			if err := optimizer.tell(t, e.results[t.task.id]); err != nil {
				return err
			}
		}
	}
	return nil
}

// addTrial gives a trial its run.
func (e *execution) addTrial(t *trial, optimizer *optimizer) error {
	values, err := optimizer.values(t)
	if err != nil {
		return err
	}
	seed := e.file.Seeds[0]
	spec, err := e.file.spec(seed, values...)
	if err != nil {
		return fmt.Errorf("%s: trial %d: %w", e.file.Path, t.number, err)
	}
	if e.file.Search.Pruning {
		spec.Scope = optimizer.name
	}
	name := settingName(fmt.Sprintf("trial %d", t.number), values)
	if t.task,
		err = e.add(Run{Setting: name, Values: byKey(values), Seed: seed, Spec: spec}); err != nil {
		return err
	}
	if e.file.Search.Pruning {
		t.task.keepOn = optimizer.judge(t)
	}
	return nil
}

// runTrials trains those that are not finished.
func (e *execution) runTrials(ctx context.Context, trials []*trial) error {
	var tasks []*task
	seen := make(map[string]bool)
	for _, t := range trials {
		if seen[t.task.id] {
			continue // the same setting twice is one run
		}
		seen[t.task.id] = true
		tasks = append(tasks, t.task)
		if err := e.find(t.task); err != nil {
			return err
		}
	}
	e.announce()
	if err := e.writePlan(); err != nil {
		return err
	}
	return e.runAll(ctx, tasks)
}

// writePlan writes the plan so far, unless the folder's is this search's and knows more:
// a search that goes on plans its first trials again, and a report meanwhile is to have
// all of them.
func (e *execution) writePlan() error {
	if len(e.planned.Runs) < e.planned.Total {
		if known, err := ReadPlan(e.dir); err == nil && e.planned.begins(known) {
			return nil
		}
	}
	return e.planned.Write(e.dir)
}
