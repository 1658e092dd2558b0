package pretrained

import (
	"context"
	"fmt"
	"io"
	"strings"

	"slipway/builder"
	"slipway/dataset/picture"
	"slipway/internal/nearest"
)

// Model is a network with weights that were learned before.
type Model struct {
	// Name is the one that Load was asked for.
	Name    string
	Network *builder.Network
	Weights builder.Weights
	// Pixels is how the network is fed, as train.Config.Pixels has it.
	Pixels string
	// Sizing is how pictures of any size come to the size of its input.
	Sizing picture.Sizing
	// ClassNames are those of its logits, in their order.
	ClassNames []string
	// DataSet is what it was trained on.
	DataSet string
	// Attribution says whose the network and the weights are, and Licence what may be done
	// with them.
	Attribution, Licence string
}

// Options are what Load may be told. The zero value is good.
type Options struct {
	// CacheDir is the folder of the weights, instead of pretrained of slipway in the user's
	// cache folder (os.UserCacheDir).
	CacheDir string
	// Height and Width are those of the images that the network is for, instead of those that it
	// was trained with.
	Height, Width int
	// Messages takes a line when something is brought. It may be nil.
	Messages io.Writer
}

// recipe makes a network of the weights' file.
type recipe struct {
	name string
	make func(name string, tensors tensors, height, width int) (*Model, error)
}

func recipes() []recipe {
	return []recipe{{"efficientnet_lite0", efficientNetLite0}}
}

// Names returns the names that Load knows.
func Names() []string {
	var names []string
	for _, r := range recipes() {
		names = append(names, r.name)
	}
	return names
}

// Has reports whether Load knows the name.
func Has(name string) bool {
	for _, r := range recipes() {
		if r.name == name {
			return true
		}
	}
	return false
}

// Load returns the network of that name with its weights, which it brings where they are not on
// this machine yet. The error names what there is, or says what to do without a network.
func Load(ctx context.Context, name string, options Options) (*Model, error) {
	for _, r := range recipes() {
		if r.name != name {
			continue
		}
		path, err := fetched(ctx, name, options)
		if err != nil {
			return nil, fmt.Errorf("pretrained %s: %w", name, err)
		}
		tensors, err := readTensors(path)
		if err != nil {
			return nil, fmt.Errorf("pretrained %s: %w", name, err)
		}
		model, err := r.make(name, tensors, options.Height, options.Width)
		if err != nil {
			return nil, fmt.Errorf("pretrained %s: %s: %w", name, path, err)
		}
		return model, nil
	}
	return nil, fmt.Errorf("no pretrained network is called %q%s; there are %s",
		name, nearest.Hint(name, Names()), strings.Join(Names(), ", "))
}
