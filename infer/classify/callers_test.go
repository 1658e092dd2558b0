package classify_test

import (
	"context"
	"errors"
	"image"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway/infer"
	"slipway/infer/classify"
	"slipway/onnx"
)

// Many goroutines on few sessions get the answers that they would get alone.
func TestManyCallers(t *testing.T) {
	for _, sessions := range []int{1, 2, 8} {
		c := opened(t, colourModel(t), classify.WithSessions(sessions))
		var images []image.Image
		var want [][]classify.Result
		for i := range 8 {
			m := noise(14+i, 20-i, uint64(i))
			images, want = append(images, m), append(want, mustClassify(t, c, m))
		}
		var all sync.WaitGroup
		for g := range 64 {
			all.Go(func() {
				for i := range images {
					i = (i + g) % len(images)
					got, err := c.Classify(context.Background(), images[i])
					if err != nil || !slices.Equal(got, want[i]) {
						t.Errorf("image %d: %v, %v", i, got, err)
					}
				}
				if got, err := c.ClassifyBatch(context.Background(), images); err != nil ||
					!reflect.DeepEqual(got, want) {
					t.Errorf("all: %v, %v", got, err)
				}
			})
		}
		all.Wait()
	}
}

// Who waits for a session is let go when its context ends, and when the Classifier is closed;
// Close waits for who is in it.
func TestWaitingEnds(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	c, err := classify.New(plainModel(),
		classify.WithRuntime(func(m *onnx.Model) (classify.Runtime, error) {
			r, err := infer.OpenNative(context.Background(), m, infer.NativeOptions{})
			return &slow{Runtime: r, inside: inside, leave: leave}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	m := noise(16, 16, 1)
	answered := make(chan error)
	go func() {
		_, err := c.Classify(context.Background(), m)
		answered <- err
	}()
	<-inside
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the client is gone"))
	if _, err := c.Classify(ctx, m); !errors.Is(err, context.Canceled) ||
		!strings.Contains(err.Error(), "the client is gone") {
		t.Errorf("a context that has ended: %v", err)
	}
	waiting, closed := make(chan error), make(chan error)
	go func() {
		_, err := c.Classify(context.Background(), m)
		waiting <- err
	}()
	go func() { closed <- c.Close() }()
	if err := <-waiting; !errors.Is(err, classify.ErrClosed) {
		t.Errorf("who waited: %v", err)
	}
	select {
	case err := <-closed:
		t.Errorf("closed while a call was computed: %v", err)
	default:
	}
	close(leave)
	if err := <-answered; err != nil {
		t.Errorf("who was in it: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := c.Classify(t.Context(), m); !errors.Is(err, classify.ErrClosed) {
		t.Errorf("afterwards: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// slow waits in its second Run: the first is Open's.
type slow struct {
	classify.Runtime
	inside, leave chan struct{}
	runs          int
}

func (s *slow) Run(ctx context.Context, batch classify.Batch) (classify.Logits, error) {
	if s.runs++; s.runs == 2 {
		close(s.inside)
		<-s.leave
	}
	return s.Runtime.Run(ctx, batch)
}
