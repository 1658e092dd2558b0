// Command hugot is hugot's side of bench-classify: a module of its own, so that what hugot needs
// does not come into Slipway's go.mod. It is started by scripts/bench/classify and speaks with it
// in lines of JSON, a request in and a reply out. What it measures, it measures by itself.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	// What the modules print must not come between the replies.
	replies := os.Stdout
	os.Stdout = os.Stderr
	if err := serve(os.Stdin, replies); err != nil {
		fmt.Fprintln(os.Stderr, "hugot:", err)
		os.Exit(1)
	}
}

// A request asks for one thing. scripts/bench/classify/child.go has the other end of this.
type request struct {
	// Open opens a model; it comes first.
	Open *model `json:"open"`
	// Image adds an image to those that are asked about.
	Image *pixels `json:"image"`
	// Do is "labels", for the label of each image, or "round", which times one round of all.
	Do string `json:"do"`
}

// model is what hugot needs to be told about a model.
type model struct {
	// Folder has model.onnx, and config.json with the names of the classes.
	Folder string `json:"folder"`
	// Library is onnxruntime's file; the back end that is pure Go does without.
	Library string `json:"library"`
	// Means and Deviations are those of the channels, on the scale 0…1.
	Means      [3]float32 `json:"means"`
	Deviations [3]float32 `json:"deviations"`
	Classes    int        `json:"classes"`
}

// pixels are those of an image.RGBA.
type pixels struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	RGBA   []byte `json:"rgba"`
}

// A reply has what was asked for, or an error.
type reply struct {
	// Note says what runs the model.
	Note   string   `json:"note,omitempty"`
	Labels []string `json:"labels,omitempty"`
	Round  *sample  `json:"round,omitempty"`
	Error  string   `json:"error,omitempty"`
}

// serve answers requests until there are no more.
func serve(requests io.Reader, replies io.Writer) error {
	in, out := json.NewDecoder(requests), json.NewEncoder(replies)
	s := &side{}
	for {
		var r request
		if err := in.Decode(&r); errors.Is(err, io.EOF) {
			return s.close()
		} else if err != nil {
			return fmt.Errorf("a request: %w", err)
		}
		answer, err := s.answer(r)
		if err != nil {
			answer = reply{Error: err.Error()}
		}
		if err := out.Encode(answer); err != nil {
			return fmt.Errorf("a reply: %w", err)
		}
	}
}

func (s *side) answer(r request) (answer reply, err error) {
	switch {
	case r.Open != nil:
		answer.Note, err = s.open(*r.Open)
	case r.Image != nil:
		err = s.add(*r.Image)
	case r.Do == "labels":
		answer.Labels, err = s.labels()
	case r.Do == "round":
		answer.Round, err = s.round()
	default:
		err = fmt.Errorf("nothing known is asked for: %+v", r)
	}
	return answer, err
}
