package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// child is a subject in a process of its own, which measures by itself. It is asked by lines of
// JSON: scripts/bench/hugot/main.go has the other end of this.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

type request struct {
	Open  *childModel  `json:"open,omitempty"`
	Image *childPixels `json:"image,omitempty"`
	Do    string       `json:"do,omitempty"`
}

type childModel struct {
	Folder     string     `json:"folder"`
	Library    string     `json:"library"`
	Means      [3]float32 `json:"means"`
	Deviations [3]float32 `json:"deviations"`
	Classes    int        `json:"classes"`
}

type childPixels struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	RGBA   []byte `json:"rgba"`
}

type reply struct {
	Note   string   `json:"note"`
	Labels []string `json:"labels"`
	Round  *sample  `json:"round"`
	Error  string   `json:"error"`
}

// start starts the program on one thread. The end of ctx ends it.
func start(ctx context.Context, program string) (*child, error) {
	command := exec.CommandContext(ctx, program)
	command.Env = append(os.Environ(), "GOMAXPROCS=1")
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	if err := command.Start(); err != nil {
		return nil, err // names the program
	}
	return &child{command, in, json.NewDecoder(out)}, nil
}

func (c *child) ask(r request) (reply, error) {
	if err := json.NewEncoder(c.in).Encode(r); err != nil {
		return reply{}, fmt.Errorf("asking %s: %w", c.command.Path, err)
	}
	var answer reply
	if err := c.out.Decode(&answer); err != nil {
		return reply{}, fmt.Errorf("the answer of %s: %w", c.command.Path, err)
	}
	if answer.Error != "" {
		return reply{}, errors.New(answer.Error)
	}
	return answer, nil
}

func (c *child) labels(context.Context) ([]string, error) {
	answer, err := c.ask(request{Do: "labels"})
	return answer.Labels, err
}

func (c *child) round(context.Context) (sample, error) {
	answer, err := c.ask(request{Do: "round"})
	if err != nil {
		return sample{}, err
	}
	if answer.Round == nil {
		return sample{}, fmt.Errorf("%s measured nothing", c.command.Path)
	}
	return *answer.Round, nil
}

// close ends it, which it does where there are no more requests.
func (c *child) close() error {
	return errors.Join(c.in.Close(), c.command.Wait())
}
