package serve

import (
	"errors"
	"fmt"
	"testing"

	"slipway/infer"
)

// A model that was refused for memory, which may be another's, is tried again, and not for ever; of
// other errors what the files hold is decided.
func TestRetriesOfAModel(t *testing.T) {
	e := &entry{}
	tooLarge := fmt.Errorf("m.onnx: %w: making a session", infer.ErrBatchMemory)
	if e.retries(errors.New("no model")) || e.retries(infer.ErrTimeLimit) {
		t.Error("an error of the file's is tried again")
	}
	for range mostRetries {
		if !e.retries(tooLarge) {
			t.Fatalf("not tried again after %d times", e.retried)
		}
	}
	if e.retries(tooLarge) {
		t.Error("it is tried for ever")
	}
}
