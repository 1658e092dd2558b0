package dataset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway/dataset/picture"
)

// ErrChanged is of a set that is no longer what a record says.
var ErrChanged = errors.New("the set has changed since")

// AsRecorded adds to the options how the recorded set's pictures were read.
func (o Options) AsRecorded(recorded Info) (Options, error) {
	o.SkipDamaged = o.SkipDamaged || recorded.LeftOut > 0
	o.MultiLabel = o.MultiLabel || recorded.MultiLabel
	if recorded.Sizing == "" {
		return o, nil
	}
	sizing, err := picture.ParseSizing(recorded.Sizing)
	if err != nil {
		return o, fmt.Errorf("the record of %s: %w", recorded.Name, err)
	}
	o.Sizing, o.Channels = &sizing, recorded.Channels
	return o, nil
}

// Reopen opens the set that a record is of, where it was and as it was read then, as
// OpenSource does. A set with another content is ErrChanged. Its name is the recorded one.
func Reopen(ctx context.Context, recorded Info, opts Options) (Source, error) {
	opts, err := opts.AsRecorded(recorded)
	if err != nil {
		return nil, err
	}
	source, err := OpenSource(ctx, recorded.Place, opts)
	if err != nil {
		return nil, err
	}
	source = As(source, recorded.Name, "")
	own, names := source.Info().ClassNames, recorded.ClassNames
	// Columns of labels have any order.
	other := recorded.MultiLabel && len(own) > 0 && !slices.Equal(own, names)
	if len(FileNames(source)) > 0 && (len(names) > len(own) || other) {
		// It was read in the order of a larger set's classes, or of another one's.
		if source, err = Relabelled(source, names); err != nil {
			return nil, err
		}
	}
	if digest := source.Info().SHA256; digest != recorded.SHA256 {
		return nil, fmt.Errorf("%w: it had the sha256 %s, %s has %s", ErrChanged, recorded.SHA256,
			recorded.Place, digest)
	}
	return source, nil
}
