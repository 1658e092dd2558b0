package study

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Run is one run of a study before it has a content address.
type Run struct {
	Setting string
	Values  map[string]any
	Seed    uint64
	Spec    Spec
}

// Shorten turns the file into its short form: fewer images, epochs, seeds and
// trials.
func (f *File) Shorten() {
	f.quick = true
	fewer := func(n *int, most int) {
		if *n == 0 || *n > most {
			*n = most
		}
	}
	fewer(&f.Images, f.Quick.Images)
	fewer(&f.TestImages, f.Quick.TestImages)
	if f.Search != nil {
		fewer(&f.Search.Trials, f.Quick.Trials)
	}
	for i := range f.Entries {
		if drawn := f.Entries[i].draw; drawn != nil {
			fewer(&drawn.count, f.Quick.Trials)
		}
	}
}

// mostRuns bounds a study: a few lines multiply to more than memory holds, and each is kept before
// the first one starts.
const mostRuns = 100_000

// checkSize reports more runs than a study may have.
func (f *File) checkSize() error {
	total := 0
	for _, e := range f.Entries {
		runs := max(1, len(f.seedsOf(e)))
		if e.draw != nil {
			runs *= e.draw.count // both are bounded
		}
		for _, a := range e.axes {
			if runs *= len(a.values); runs > mostRuns {
				break
			}
		}
		if total += runs; total > mostRuns {
			return &PlaceError{Line: e.line,
				Err: fmt.Errorf("these are more than %d runs, settings by seeds; give fewer values or seeds, "+
					"or draw some of the settings with random", mostRuns)}
		}
	}
	return nil
}

// Runs lists the study's runs in the order of settings, and of seeds within a
// setting. A search has none before it runs.
func (f *File) Runs() ([]Run, error) {
	if err := f.checkSize(); err != nil {
		return nil, err
	}
	var runs []Run
	names := make(map[string]int)
	for _, e := range f.Entries {
		combinations, err := e.combinations()
		if err != nil {
			return nil, err
		}
		for _, values := range combinations {
			name := settingName(e.name, values)
			if line, twice := names[name]; twice {
				return nil, &PlaceError{Line: e.line,
					Err: fmt.Errorf(
						"there are two settings %q, the other from line %d; give each a name of its own", name, line)}
			}
			names[name] = e.line
			all := append(slices.Clone(e.set), values...)
			for _, seed := range f.seedsOf(e) {
				spec, err := f.spec(seed, all...)
				if err != nil {
					return nil, placed(err, e.line, name)
				}
				runs = append(runs, Run{name, byKey(all), seed, spec})
			}
		}
	}
	return runs, nil
}

// placed gives an error the setting's name, and the entry's line if it has none.
func placed(err error, line int, setting string) error {
	var place *PlaceError
	if errors.As(err, &place) && place.Line == 0 {
		place.Line = line
	}
	if place != nil && setting != "" {
		return &PlaceError{Line: place.Line, Err: fmt.Errorf("setting %s: %w", setting, place.Err)}
	}
	return err
}

func (f *File) seedsOf(e entry) []uint64 {
	seeds := e.seeds
	if seeds == nil {
		seeds = f.Seeds
	}
	if f.quick {
		seeds = seeds[:min(len(seeds), f.Quick.Seeds)]
	}
	return seeds
}

// combinations returns the values of each setting of the entry beside those that
// are the same in all.
func (e entry) combinations() ([][]value, error) {
	if e.draw != nil {
		return e.draw.values()
	}
	all := [][]value{nil}
	for _, a := range e.axes {
		var next [][]value
		for _, before := range all {
			for _, v := range a.values {
				next = append(next, append(slices.Clone(before), value{a.key, v, a.line}))
			}
		}
		all = next
	}
	return all, nil
}

// settingName names a setting by its values. A name with {KEY} in it has the value
// there, any other is followed by KEY=VALUE.
func settingName(name string, values []value) string {
	var parts []string
	for _, v := range values {
		if place := "{" + v.key + "}"; strings.Contains(name, place) {
			name = strings.ReplaceAll(name, place, show(v.value))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s=%s", v.key, show(v.value)))
	}
	if name != "" {
		parts = append([]string{name}, parts...)
	}
	return strings.Join(parts, ", ")
}

// show writes a value as short as it is exact.
func show(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

func byKey(values []value) map[string]any {
	m := make(map[string]any)
	for _, v := range values {
		m[v.key] = v.value
	}
	return m
}
