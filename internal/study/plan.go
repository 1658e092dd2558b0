package study

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"slipway/dataset"
	"slipway/internal/atomicfile"
)

// PlanFile lies in a study's folder and says which runs it has.
const PlanFile = "plan.json"

// Plan lists the runs of a study. The runs themselves lie in a pool that studies
// share.
type Plan struct {
	Study    string `json:"study"`
	Question string `json:"question,omitempty"`
	// Pool is the folder of the runs, relative to the study's.
	Pool string `json:"pool"`
	// Quick says that this is the short form of the study, whose figures answer
	// nothing.
	Quick bool `json:"quick,omitempty"`
	// Total is how many runs there will be where they are planned on the way, as by a
	// search; 0 where Runs are all.
	Total int `json:"total,omitempty"`
	// Test is the set that the runs are tested on, all of it, zero in plans of before it
	// was kept.
	Test dataset.Info `json:"test,omitzero"`
	// Runs are in the order of settings, and of seeds within a setting.
	Runs []PlannedRun `json:"runs"`
}

// PlannedRun is one run in its study.
type PlannedRun struct {
	ID      string         `json:"id"`
	Setting string         `json:"setting"`
	Values  map[string]any `json:"values"`
	Seed    uint64         `json:"seed"`
}

// Size is how many runs the study has when it is finished.
func (p Plan) Size() int { return max(p.Total, len(p.Runs)) }

// ReadPlan reads the plan of the study in the folder.
func ReadPlan(dir string) (Plan, error) {
	path := filepath.Join(dir, PlanFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return Plan{}, fmt.Errorf("%s is not the folder of a study: %w; experiment run makes one", dir,
			err)
	}
	var plan Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		return Plan{}, fmt.Errorf("%s: %w; run the study again, which keeps its finished runs", path, err)
	}
	return plan, nil
}

// begins reports whether the plan lists the first of the other's runs, and fewer.
func (p Plan) begins(other Plan) bool {
	if len(p.Runs) >= len(other.Runs) {
		return false
	}
	for i, run := range p.Runs {
		if run.ID != other.Runs[i].ID {
			return false
		}
	}
	return true
}

// Write writes the plan into the study's folder.
func (p Plan) Write(dir string) error {
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("plan of study %s: %w", p.Study, err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, PlanFile), append(raw, '\n')); err != nil {
		return fmt.Errorf("plan of study %s: %w", p.Study, err)
	}
	return nil
}
