package feed_test

import (
	"errors"
	"testing"

	"slipway/dataset/feed"
)

// Bytes are fed as whole images of whole channels, into room for all of them.
func TestFeedAtItsLimits(t *testing.T) {
	for _, test := range []struct {
		room, bytes, channels, size int
		sound                       bool
	}{
		{4, 4, 1, 2, true}, {4, 4, 2, 2, true}, {1, 1, 1, 1, true}, {3, 4, 1, 2, false},
		{4, 4, 1, 0, false}, {4, 4, 0, 2, false}, {6, 6, 2, 3, false}, {3, 3, 1, 2, false},
		{4, 4, 1, -2, false}, {4, 4, -1, 2, false}, {0, 0, 1, 2, true},
	} {
		err := feed.Pixels{}.Feed(make([]float32, test.room), make([]uint8, test.bytes), test.channels,
			test.size)
		if test.sound != (err == nil) || err != nil && !errors.Is(err, feed.ErrSize) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
