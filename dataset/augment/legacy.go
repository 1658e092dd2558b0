package augment

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Before there were lists, augmentation was a shift and a rotation: train.Augmentation, which
// configurations of runs and the addresses of studies hold. A list of these two alone is recorded
// in that form still, draws the words that it drew, and gives the same bytes.

// legacyPurpose is what the key of the old words is for. Shift and rotation shared one block, whose
// words 0 and 1 are the shift down and to the right, and word 2 the angle.
const legacyPurpose = "augmentation"

// FromShiftAndRotation is the list of the old record: a rotation by up to that many degrees, then
// a shift by up to that many pixels; what is 0 is left out.
func FromShiftAndRotation(shift int, rotation float64) List {
	var list List
	if rotation != 0 {
		list = append(list, Rotation{Degrees: rotation})
	}
	if shift != 0 {
		list = append(list, Shift{Pixels: shift})
	}
	return list
}

// Legacy reports whether the list is one of the old record's, and with which numbers: nothing else
// than a rotation, a shift, or both. The empty list is one of them.
func (l List) Legacy() (shift int, rotation float64, ok bool) {
	for place, operation := range l.normal() {
		switch o := operation.(type) {
		case Rotation:
			if place > 0 {
				return 0, 0, false
			}
			rotation = o.Degrees
		case Shift:
			if place > 0 && rotation == 0 || shift != 0 {
				return 0, 0, false
			}
			shift = o.Pixels
		default:
			return 0, 0, false
		}
	}
	return shift, rotation, true
}

// Record is a list as configurations hold it, in JSON: a rotation, a shift or both in the form of
// before, {"shift":2,"rotation":10}, so that what is known by its configuration is found again, and
// every other list in List's. It reads both, and what ParseList reads.
type Record List

// IsZero reports whether images stay as they are.
func (r Record) IsZero() bool { return len(List(r).normal()) == 0 }

// String is the list's.
func (r Record) String() string { return List(r).String() }

// oldRecord was train.Augmentation.
type oldRecord struct {
	Shift    int     `json:"shift,omitempty"`
	Rotation float64 `json:"rotation,omitempty"`
}

// MarshalJSON writes either form.
func (r Record) MarshalJSON() ([]byte, error) {
	if shift, rotation, ok := List(r).Legacy(); ok {
		return json.Marshal(oldRecord{shift, rotation})
	}
	return List(r).MarshalJSON()
}

// UnmarshalJSON reads either form.
func (r *Record) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return (*List)(r).UnmarshalJSON(data)
	}
	var old oldRecord
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&old); err != nil {
		return fmt.Errorf("augmentation: %s has not only shift and rotation; other operations "+
			"stand in a list, such as [\"flip\", {\"shift\": 2}]: %w", data, err)
	}
	*r = Record(FromShiftAndRotation(old.Shift, old.Rotation))
	return nil
}
