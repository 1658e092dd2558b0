package study

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway/builder"
	"slipway/dataset/picture"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/pretrained"
	"slipway/train"
)

// Settings of networks that have learned elsewhere.
const (
	keyFrom   = "from" // an ONNX file, a pretrained network's name, or none
	keyHead   = "head" // a new classifier for that many classes, or auto for the sets'
	keyFreeze = "freeze"
	fromNone  = "none" // the base's network, with weights that are drawn
	headAuto  = "auto"
)

// start is a network with the weights that runs begin with.
type start struct {
	name    string
	network *builder.Network
	weights builder.Weights
	pixels  string          // how the model was fed, empty where it does not say
	sizing  *picture.Sizing // of its pictures, nil where it does not say
	// origin says whose the weights are, and of a file which it is.
	origin string
	digest string // of the weights
}

// setting reads a key of the file as a setting of every run.
func (f *File) setting(key string) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		v, err := plain(node)
		if err == nil {
			f.Fixed = append(f.Fixed, value{key, v, node.Line})
		}
		return err
	}
}

// models are the values of from that name a model, each once, in the order of the file.
func (f *File) models() ([]value, error) {
	all := slices.Clone(f.Fixed)
	drawn := func(space []parameter) {
		for _, p := range space {
			for _, v := range p.ends() {
				all = append(all, value{p.key, v, p.line})
			}
		}
	}
	if f.Search != nil {
		drawn(f.Search.space)
	}
	for _, e := range f.Entries {
		all = append(all, e.set...)
		if e.draw != nil {
			drawn(e.draw.space)
		}
		for _, a := range e.axes {
			for _, v := range a.values {
				all = append(all, value{a.key, v, a.line})
			}
		}
	}
	var models []value
	known := make(map[string]bool)
	for _, v := range all {
		if v.key != keyFrom {
			continue
		}
		name, ok := v.value.(string)
		if !ok || name == "" {
			return nil, &PlaceError{Line: v.line, Err: fmt.Errorf("from is %s; it needs to be an ONNX "+
				"file, %s, or %s",
				valueKind(v.value), strings.Join(pretrained.Names(), ", "), fromNone)}
		}
		if name != fromNone && !known[name] {
			known[name] = true
			models = append(models, v)
		}
	}
	return models, nil
}

// Load reads the models that the file's settings name, each once, brings the pretrained networks
// among them, and checks the settings with them. It ends with ctx, and tells messages, which may be
// nil, of what is brought. A file that is loaded, or names no model, it leaves as it is.
func (f *File) Load(ctx context.Context, messages io.Writer) error {
	if f.starts != nil {
		return nil
	}
	if err := f.load(ctx, messages); err != nil {
		f.starts, f.Pictures.ofModel = nil, nil
		return inFile(f.Path, err)
	}
	return nil
}

func (f *File) load(ctx context.Context, messages io.Writer) error {
	models, err := f.models()
	if err != nil {
		return err
	}
	f.starts = make(map[string]*start)
	for _, v := range models {
		name := v.value.(string)
		if f.starts[name], err = f.loadStart(ctx, name, messages); err != nil {
			return &PlaceError{Line: v.line, Err: fmt.Errorf("from: %w", err)}
		}
	}
	if err := f.takeSizing(); err != nil {
		return err
	}
	return f.check()
}

// takeSizing has pictures come to the size that the models are for, where the file says none.
func (f *File) takeSizing() error {
	if f.Pictures.Resize != "" {
		return nil
	}
	for _, s := range f.starts {
		switch own := f.Pictures.ofModel; {
		case s.sizing == nil:
		case own != nil && *own != *s.sizing:
			return fmt.Errorf("the models of from take pictures of other sizes, %v and %v, and all "+
				"runs of a study see the same; give a resize", *own, *s.sizing)
		default:
			f.Pictures.ofModel = s.sizing
		}
	}
	return nil
}

func (f *File) loadStart(ctx context.Context, name string, messages io.Writer) (*start, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if pretrained.Has(name) {
		wanted := pretrained.Options{Messages: messages}
		if sizing, err := f.Pictures.sizing(); err == nil && sizing != nil {
			wanted.Height, wanted.Width = sizing.Height, sizing.Width
		}
		model, err := pretrained.Load(ctx, name, wanted)
		if err != nil {
			return nil, err
		}
		return &start{name: name, network: model.Network, weights: model.Weights,
			pixels: model.Pixels, sizing: &model.Sizing,
			origin: model.Attribution + ", " + model.Licence, digest: digestOf(model.Weights)}, nil
	}
	model, err := onnx.Read(name)
	if err != nil {
		return nil, fmt.Errorf("%w; from is an ONNX file, a path from the working folder, or one of %s",
			err, strings.Join(pretrained.Names(), ", "))
	}
	s := &start{name: name}
	if s.network, s.weights, err = convert.ToNetwork(model, ""); err != nil {
		return nil, err
	}
	record, ok, err := model.TrainingRecord()
	if err != nil {
		return nil, err
	}
	if ok {
		s.pixels = train.PixelsFor(record.PixelTransform())
	}
	if record.Sizing != "" {
		sizing, err := picture.ParseSizing(record.Sizing)
		if err != nil {
			return nil, fmt.Errorf("%s: its training record: %w", name, err)
		}
		s.sizing = &sizing
	}
	if s.origin, err = pretrained.FileOrigin(name, record.Attribution, record.Licence); err != nil {
		return nil, err
	}
	s.digest = digestOf(s.weights)
	return s, nil
}

// digestOf is the sha256 of weights: of their names, shapes and values.
func digestOf(weights builder.Weights) string {
	sum := sha256.New()
	for _, tensor := range weights {
		fmt.Fprintf(sum, "%q %v\n", tensor.Name, tensor.Shape)
		// A hash takes all that is written.
		_ = binary.Write(sum, binary.LittleEndian, tensor.Data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// started returns the network of from with the classifier that head asks for, and the name of the
// layer that is drawn anew, empty where there is none. Of from: none it returns nil.
func (f *File) started(from, head *value, layer string) (
	s *start, network *builder.Network, anew string, err error,
) {
	wrong := func(v *value, err error) error { return &PlaceError{Line: v.line, Err: err} }
	if from == nil || from.value == fromNone {
		if head != nil && from == nil {
			return nil, nil, "", wrong(head, errors.New("head gives a new classifier to a network that has "+
				"learned; name it with from"))
		}
		return nil, nil, "", nil
	}
	if f.starts == nil {
		return nil, nil, "", wrong(from, fmt.Errorf("from %v: the model is not loaded", from.value))
	}
	name, _ := from.value.(string)
	if s = f.starts[name]; s == nil {
		return nil, nil, "", wrong(from, fmt.Errorf("from %v: the models that runs begin with stand "+
			"in the file", from.value))
	}
	if head == nil {
		return s, s.network, "", nil
	}
	classes := f.classes
	if number, ok := head.value.(float64); ok && number >= 1 && number == float64(int(number)) {
		classes = int(number)
	} else if head.value != headAuto {
		return nil, nil, "", wrong(head, fmt.Errorf("head %v; it is a number of classes, or %s for "+
			"the sets'", head.value, headAuto))
	}
	network, anew, err = s.network.WithHead(classes, layer)
	if err != nil {
		return nil, nil, "", wrong(head, fmt.Errorf("head: %w; fine_tune.head names a layer", err))
	}
	return s, network, anew, nil
}

// initial returns the weights that the run begins with, nil where they are drawn from the seed.
func (s Spec) initial() (builder.Weights, error) {
	switch {
	case s.start == nil:
		return nil, nil
	case s.anew == "":
		return s.start.weights, nil
	}
	return s.Network.CarryWeights(s.start.weights, s.Config.Seed, s.anew)
}
