package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"slipway/infer"
	"slipway/internal/display"
)

// A problem is an error that a client is told, with its HTTP status. Any other error is the
// server's own: the client is told that it happened, and the log what it was.
type problem struct {
	status int
	text   string
	// reason is the label that metrics count refusals by, "" for what is not counted so.
	reason string
}

func (p *problem) Error() string { return p.text }

// refuse returns a problem of the client's.
func refuse(status int, format string, args ...any) error {
	return &problem{status: status, text: fmt.Sprintf(format, args...)}
}

// badRequest is refuse of what is said wrongly, 400.
func badRequest(format string, args ...any) error {
	return refuse(http.StatusBadRequest, format, args...)
}

// overloaded returns a problem of a limit that many requests share: the client may ask again.
func overloaded(reason, format string, args ...any) error {
	return &problem{status: http.StatusServiceUnavailable, text: fmt.Sprintf(format, args...),
		reason: reason}
}

// internalText is what a client is told of the server's own errors.
const internalText = "the server could not answer this request; its log says why"

// statusClientGone is what is logged and counted where the client has left: nobody gets it.
const statusClientGone = 499

// told returns the status and the text that a client is told of an error. own says that the
// error is the server's and belongs into the log.
func told(err error) (p *problem, own bool) {
	switch {
	case errors.As(err, &p):
		return &problem{p.status, display.Printable(p.text),
			p.reason}, p.status == http.StatusInternalServerError
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{http.StatusGatewayTimeout, "the answer took longer than the server's limit",
			"answer_time"}, false
	case errors.Is(err, context.Canceled):
		return &problem{statusClientGone, "the client has left", ""}, false
	case errors.Is(err, infer.ErrBatchMemory):
		return &problem{http.StatusRequestEntityTooLarge,
				"so many images take more memory than the runtime allows, with what it computes beside " +
					"them: send fewer at a time, or again", "batch_memory"},
			false
	}
	return &problem{http.StatusInternalServerError, internalText, ""}, true
}
