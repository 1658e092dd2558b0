package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/c-bata/goptuna"

	"slipway/internal/atomicfile"
)

// journal is goptuna's storage in memory, of which each change is a line of JSON at the end of a
// file. A search that goes on reads the lines again. Each is on the disk before the change counts,
// so that a crash forgets no proposal; a last line that was cut off by one is left out.
type journal struct {
	*goptuna.InMemoryStorage
	path string
	file *os.File
}

var _ goptuna.Storage = (*journal)(nil)

// Kinds of an event, and the fields that each has beside Trial.
const (
	eventTrial     = "trial"     // begins: none
	eventParameter = "parameter" // is proposed: Name, Value as goptuna has it inside, Distribution
	eventEpoch     = "epoch"     // came to: Epoch, Value
	eventValue     = "value"     // came out: Value
	eventRun       = "attribute" // belongs to the trial: Name, Text
	eventState     = "state"     // is over: Text
)

// event is a line of a journal.
type event struct {
	Event        string          `json:"event"`
	Trial        int             `json:"trial"`
	Name         string          `json:"name,omitempty"`
	Epoch        int             `json:"epoch,omitempty"`
	Value        *float64        `json:"value,omitempty"`
	Text         string          `json:"text,omitempty"`
	Distribution json.RawMessage `json:"distribution,omitempty"`
}

// errJournal is wrapped by errors about what a journal holds.
var errJournal = errors.New(
	"it is not a search's journal, or is damaged; remove it to begin the search again")

// openJournal reads a journal, or begins one.
func openJournal(path string) (*journal, error) {
	j := &journal{InMemoryStorage: goptuna.NewInMemoryStorage(), path: path}
	raw, err := readJournal(path)
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(raw, '\n') + 1
	number := 0
	for line := range bytes.Lines(raw[:whole]) {
		number++
		if err := j.replay(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w: %w", path, number, errJournal, err)
		}
	}
	if j.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666); err != nil {
		return nil, err
	}
	err = j.file.Truncate(int64(whole))
	if len(raw) == 0 {
		err = errors.Join(err, atomicfile.SyncDir(filepath.Dir(path)))
	}
	if err != nil {
		return nil, errors.Join(err, j.file.Close())
	}
	return j, nil
}

// mostJournal is far more than a search of a million trials writes.
const mostJournal = 1 << 30

// readJournal reads a journal, nothing where there is none. A link is not followed: what it leads
// to is somebody else's, and would be written to.
func readJournal(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > mostJournal:
		return nil, fmt.Errorf("%s: %w", path, errJournal)
	}
	return os.ReadFile(path)
}

func (j *journal) close() error { return j.file.Close() }

// replay does what a line says.
func (j *journal) replay(line []byte) (err error) {
	// goptuna panics on a distribution that it did not write.
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("goptuna: %v", problem)
		}
	}()
	var e event
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("there is more on the line")
	}
	memory := j.InMemoryStorage
	if e.Event == eventTrial {
		trial, err := memory.CreateNewTrial(goptuna.InMemoryStorageStudyID)
		if err == nil && trial != e.Trial {
			err = fmt.Errorf("trial %d begins where %d is the next", e.Trial, trial)
		}
		return err
	}
	value := 0.0
	switch {
	case e.Value != nil:
		value = *e.Value
	case e.Event == eventParameter || e.Event == eventEpoch || e.Event == eventValue:
		return errors.New("there is no value")
	}
	switch e.Event {
	case eventParameter:
		distribution, err := goptuna.JSONToDistribution(e.Distribution)
		if err != nil {
			return err
		}
		return memory.SetTrialParam(e.Trial, e.Name, value, distribution)
	case eventEpoch:
		return memory.SetTrialIntermediateValue(e.Trial, e.Epoch, value)
	case eventValue:
		return memory.SetTrialValue(e.Trial, value)
	case eventRun:
		return memory.SetTrialUserAttr(e.Trial, e.Name, e.Text)
	case eventState:
		for _, state := range finished() {
			if state.String() == e.Text {
				return memory.SetTrialState(e.Trial, state)
			}
		}
		return fmt.Errorf("there is no state %q", e.Text)
	}
	return fmt.Errorf("there is no event %q", e.Event)
}

// finished are the states that a trial ends in.
func finished() []goptuna.TrialState {
	return []goptuna.TrialState{goptuna.TrialStateComplete, goptuna.TrialStatePruned,
		goptuna.TrialStateFail}
}

// write appends an event, once the change has been made in memory.
func (j *journal) write(made error, e event) error {
	if made != nil {
		return made
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return j.file.Sync()
}

// CreateNewTrial implements goptuna.Storage.
func (j *journal) CreateNewTrial(study int) (int, error) {
	trial, err := j.InMemoryStorage.CreateNewTrial(study)
	return trial, j.write(err, event{Event: eventTrial, Trial: trial})
}

// SetTrialParam implements goptuna.Storage.
func (j *journal) SetTrialParam(trial int, name string, value float64, distribution any) error {
	encoded, err := goptuna.DistributionToJSON(distribution)
	if err != nil {
		return err
	}
	return j.write(j.InMemoryStorage.SetTrialParam(trial, name, value, distribution),
		event{Event: eventParameter, Trial: trial, Name: name, Value: &value, Distribution: encoded})
}

// SetTrialIntermediateValue implements goptuna.Storage.
func (j *journal) SetTrialIntermediateValue(trial, step int, value float64) error {
	return j.write(j.InMemoryStorage.SetTrialIntermediateValue(trial, step, value),
		event{Event: eventEpoch, Trial: trial, Epoch: step, Value: &value})
}

// SetTrialValue implements goptuna.Storage.
func (j *journal) SetTrialValue(trial int, value float64) error {
	return j.write(j.InMemoryStorage.SetTrialValue(trial, value),
		event{Event: eventValue, Trial: trial, Value: &value})
}

// SetTrialUserAttr implements goptuna.Storage.
func (j *journal) SetTrialUserAttr(trial int, key, value string) error {
	return j.write(j.InMemoryStorage.SetTrialUserAttr(trial, key, value),
		event{Event: eventRun, Trial: trial, Name: key, Text: value})
}

// SetTrialState implements goptuna.Storage.
func (j *journal) SetTrialState(trial int, state goptuna.TrialState) error {
	return j.write(j.InMemoryStorage.SetTrialState(trial, state),
		event{Event: eventState, Trial: trial, Text: state.String()})
}
