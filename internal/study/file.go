package study

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/dataset/picture"
)

// File is a study as its file says it.
type File struct {
	// Path is the file, Name the study's name: the file's without its ending.
	Path, Name string
	// Question is what the study answers, in words.
	Question string
	// Base is the experiment or the network that settings start from.
	Base     string
	baseLine int
	// Networks are those that the file describes, by name.
	Networks map[string]*builder.Network
	// Fixed are the settings that every run has.
	Fixed []value
	// Entries say what varies. A file has entries or a search.
	Entries []entry
	Search  *Search
	// Seeds are those of every entry that has none of its own.
	Seeds []uint64
	// Data and Test name the sets as dataset.Open does; Test is empty for the one that
	// belongs to Data. Images and TestImages are how many of their first images are
	// used, all if 0.
	Data, Test         string
	Images, TestImages int
	// Pictures says how pictures of folders are read.
	Pictures Pictures
	// Robustness names the corruptions that finished runs are evaluated under.
	Robustness []string
	// Threads is how many each run computes on, Parallel how many runs there are
	// at a time, one for each core if 0.
	Threads, Parallel int
	// Quick is the study's short form.
	Quick Quick
	quick bool
	// starts are the models that runs begin with, by their names; nil until they are loaded.
	starts map[string]*start
	// classes is how many the sets have; until they are open, as many as the
	// experiments' own.
	classes int
}

// Pictures says how the pictures of a study's sets are read, in the words of train's flags.
type Pictures struct {
	Resize, Fit, Filter string
	SkipDamaged         bool
	// Originals: some run takes parts of pictures as they were before they came to one
	// size.
	Originals bool
	line      int // of resize
	// ofModel is the sizing of the models that runs begin with, nil where they say none.
	ofModel *picture.Sizing
}

// sizing is what Resize asks for, nil where it is empty.
func (p Pictures) sizing() (*picture.Sizing, error) {
	if p.Resize == "" {
		if p.Fit != "" || p.Filter != "" {
			return nil, errors.New("fit and filter say how resize goes; give a resize")
		}
		return p.ofModel, nil
	}
	sizing, err := picture.NewSizing(p.Resize, p.Fit, p.Filter)
	if err != nil {
		return nil, err
	}
	return &sizing, nil
}

// Quick says how the short form of a study differs: at most that many of each.
type Quick struct {
	Images, TestImages, Epochs, Seeds, Trials int
}

// quickEpochs is how many epochs the short form has if the file does not say.
const quickEpochs = 1

// value is a setting's key with its value, as written on a line.
type value struct {
	key   string
	value any
	line  int
}

// axis is a key with the values that it takes in turn.
type axis struct {
	key    string
	values []any
	line   int
}

// entry is a group of settings: all combinations of its axes, or a random draw
// from a space.
type entry struct {
	name  string
	set   []value
	axes  []axis
	draw  *draw
	seeds []uint64
	line  int
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// ReadFile reads a study file and checks it. The models that it names (from) are not read, nor are
// pretrained networks brought: Load does so, and checks the settings of a file that names any.
// Errors name the file and the line.
func ReadFile(path string) (*File, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read study: %w", err)
	}
	file, err := parse(path, raw)
	if err != nil {
		return nil, inFile(path, err)
	}
	return file, nil
}

// inFile gives an error the file's name.
func inFile(path string, err error) error {
	var place *PlaceError
	if errors.As(err, &place) {
		place.File = path
		return place
	}
	return &PlaceError{File: path, Err: err}
}

func parse(path string, raw []byte) (*File, error) {
	f := &File{
		Path: path, Name: strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".yaml"), ".yml"),
		Base: "e1", Seeds: []uint64{0}, Data: string(dataset.Train), Threads: 1,
		classes: builder.ExperimentClasses,
		Quick:   Quick{Images: 600, TestImages: 500, Epochs: quickEpochs, Seeds: 2, Trials: 4},
	}
	if !namePattern.MatchString(f.Name) {
		return nil, fmt.Errorf(
			"the study is named after its file, %q: use small letters, digits, - and _", f.Name)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(raw)))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty; experiments/ has examples")
		}
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one YAML document; a study is one")
	}
	root := document.Content[0]
	if err := readFields(root, "a study", f.fields()); err != nil {
		return nil, err
	}
	// A study that has it in a comment alone only keeps more than it needs.
	f.Pictures.Originals = strings.Contains(string(raw), augment.RandomResizedCrop{}.Name())
	if _, err := f.Pictures.sizing(); err != nil {
		return nil, &PlaceError{Line: f.Pictures.line, Err: err}
	}
	switch {
	case f.Search != nil && len(f.Entries) > 0:
		return nil, at(root,
			"a study has one of grid, list, random and search, or grid and list alone; a search goes alone")
	case f.Search == nil && len(f.Entries) == 0:
		return nil, at(root, "nothing varies: give grid, list, random or search")
	}
	models, err := f.models()
	if err != nil || len(models) > 0 {
		return f, err
	}
	f.starts = make(map[string]*start)
	return f, f.check()
}

// check tries every setting before the first run starts. It needs the models of from.
func (f *File) check() error {
	if f.Search != nil {
		return f.checkSearch()
	}
	_, err := f.Runs()
	return err
}

func (f *File) fields() fields {
	return fields{
		"question": into(&f.Question),
		"base": func(node *yaml.Node) error {
			f.baseLine = node.Line
			return into(&f.Base)(node)
		},
		"networks": f.readNetworks,
		"fixed": func(node *yaml.Node) error {
			values, err := readValues(node, "fixed")
			f.Fixed = append(f.Fixed, values...) // beside from, head and freeze
			return err
		},
		"grid": func(node *yaml.Node) error {
			axes, err := readAxes(node)
			f.Entries = append(f.Entries, entry{axes: axes, line: node.Line})
			return err
		},
		"list": f.readList,
		"random": func(node *yaml.Node) error {
			drawn, err := readDraw(node)
			f.Entries = append(f.Entries, entry{draw: drawn, line: node.Line})
			return err
		},
		"search": func(node *yaml.Node) (err error) {
			f.Search, err = readSearch(node)
			return err
		},
		keyFrom:   f.setting(keyFrom),
		keyHead:   f.setting(keyHead),
		keyFreeze: f.setting(keyFreeze),
		"seeds":   func(node *yaml.Node) error { return readSeeds(node, &f.Seeds) },
		"data":    into(&f.Data),
		"test":    into(&f.Test),
		"resize": func(node *yaml.Node) error {
			f.Pictures.line = node.Line
			return into(&f.Pictures.Resize)(node)
		},
		"fit":          into(&f.Pictures.Fit),
		"filter":       into(&f.Pictures.Filter),
		"skip_damaged": into(&f.Pictures.SkipDamaged),
		"images":       positive(&f.Images),
		"test_images":  positive(&f.TestImages),
		"evaluate": func(node *yaml.Node) error {
			return readFields(node, "evaluate", fields{"robustness": f.readRobustness})
		},
		"threads":  positive(&f.Threads),
		"parallel": positive(&f.Parallel),
		"quick": func(node *yaml.Node) error {
			q := &f.Quick
			return readFields(node, "quick",
				fields{"images": positive(&q.Images), "test_images": positive(&q.TestImages),
					"epochs": positive(&q.Epochs), "seeds": positive(&q.Seeds), "trials": positive(&q.Trials)})
		},
	}
}

func (f *File) readList(node *yaml.Node) error {
	entries, err := list(node, "list")
	if err != nil {
		return err
	}
	for _, node := range entries {
		e := entry{line: node.Line}
		err := readFields(node, "an entry of list", fields{
			"name": into(&e.name),
			"set": func(node *yaml.Node) (err error) {
				e.set, err = readValues(node, "set")
				return err
			},
			"grid": func(node *yaml.Node) (err error) {
				e.axes, err = readAxes(node)
				return err
			},
			"seeds": func(node *yaml.Node) error { return readSeeds(node, &e.seeds) },
		})
		if err != nil {
			return err
		}
		if e.name == "" && len(e.axes) == 0 {
			return at(node, "an entry of list needs a name, or a grid whose values name it")
		}
		f.Entries = append(f.Entries, e)
	}
	return nil
}

// readAxes reads a mapping of keys to lists of values.
func readAxes(node *yaml.Node) ([]axis, error) {
	entries, err := pairs(node, "grid")
	if err != nil {
		return nil, err
	}
	var axes []axis
	for _, entry := range entries {
		nodes, err := list(entry.value, "grid: "+entry.key)
		if err != nil {
			return nil, err
		}
		a := axis{key: entry.key, line: entry.node.Line}
		for _, node := range nodes {
			v, err := plain(node)
			if err != nil {
				return nil, err
			}
			a.values = append(a.values, v)
		}
		axes = append(axes, a)
	}
	return axes, nil
}

// readValues reads settings. A mapping inside is the settings KEY.INNER.
func readValues(node *yaml.Node, what string) ([]value, error) {
	entries, err := pairs(node, what)
	if err != nil {
		return nil, err
	}
	var values []value
	for _, entry := range entries {
		if entry.value.Kind == yaml.MappingNode {
			inner, err := readValues(entry.value, what+": "+entry.key)
			if err != nil {
				return nil, err
			}
			for _, v := range inner {
				v.key = entry.key + "." + v.key
				values = append(values, v)
			}
			continue
		}
		v, err := plain(entry.value)
		if err != nil {
			return nil, err
		}
		values = append(values, value{entry.key, v, entry.node.Line})
	}
	return values, nil
}

// plain reads any value that JSON has, too.
func plain(node *yaml.Node) (any, error) {
	var v any
	if err := node.Decode(&v); err != nil {
		return nil, at(node, "%v", err)
	}
	switch v := v.(type) {
	case nil:
		return nil, at(node, "the value is missing")
	case int:
		return float64(v), nil
	}
	return v, nil
}

func readSeeds(node *yaml.Node, seeds *[]uint64) error {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.SequenceNode {
		return listSeeds(node, seeds)
	}
	n := 0
	if err := counted(&n)(node); err != nil {
		return err
	}
	*seeds = make([]uint64, n)
	for i := range *seeds {
		(*seeds)[i] = uint64(i)
	}
	return nil
}

func listSeeds(node *yaml.Node, seeds *[]uint64) error {
	nodes, err := list(node, "seeds")
	if err != nil {
		return err
	}
	*seeds = nil
	lines := make(map[uint64]int)
	for _, node := range nodes {
		var seed uint64
		if err := into(&seed)(node); err != nil {
			return err
		}
		if line, twice := lines[seed]; twice {
			return at(node, "the seed %d is already on line %d", seed, line)
		}
		lines[seed] = node.Line
		*seeds = append(*seeds, seed)
	}
	return nil
}

// mostCounted bounds what a file asks for by a number alone: each is kept in memory
// before the first run starts.
const mostCounted = 1_000_000

// counted reads a number of seeds or settings.
func counted(target *int) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if err := positive(target)(node); err != nil {
			return err
		}
		if *target > mostCounted {
			return at(node, "%d; at most %d are possible", *target, mostCounted)
		}
		return nil
	}
}

// positive reads a whole number of at least 1.
func positive(target *int) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if err := into(target)(node); err != nil {
			return err
		}
		if *target < 1 {
			return at(node, "%d; at least 1 is needed", *target)
		}
		return nil
	}
}
