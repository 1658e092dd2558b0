// Command load asks an HTTP server the same thing again and again, and says how often it answered
// and how long that took. Run it with -h for its flags.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"slipway/internal/cli"
)

const usage = `load posts a file to a URL from many connections for a while, and prints what came of it as JSON.

  load -url http://127.0.0.1:8000/v2/models/e1/infer -raw -body image.bin -connections 16 -seconds 5
  load -url http://127.0.0.1:8000/predict -body image.bin -connections 16 -seconds 5 -rate 1000

Without -rate each connection asks again once it has its answer. With it, requests are due at even times, and the time of an
answer counts from when its request was due: a server that is behind cannot hide it by being asked less.

Exit status: 0 all were answered; 1 some were not; 2 wrong usage.

Flags:
`

type options struct {
	url, body   string
	raw         bool
	connections int
	seconds     float64
	rate        float64
}

// A result is what came of a load; times are in milliseconds.
type result struct {
	Requests  int     `json:"requests"`
	Failures  int     `json:"failures"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Max       float64 `json:"max_ms"`
	Failure   string  `json:"failure,omitempty"`
}

func main() {
	os.Exit(cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if code, done := cli.Parsed("load", err, false, stdout, stderr); done {
		return code
	}
	body, err := os.ReadFile(o.body)
	if err != nil {
		return cli.Fail(stderr, "load", err)
	}
	r := o.load(ctx, body)
	if err := json.NewEncoder(stdout).Encode(r); err != nil {
		return cli.Fail(stderr, "load", err)
	}
	if r.Failures > 0 || r.Requests == 0 {
		return cli.Fail(stderr, "load", fmt.Errorf("%d of %d requests failed: %s", r.Failures,
			r.Requests+r.Failures, r.Failure))
	}
	return cli.ExitOK
}

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := cli.NewFlagSet("load", usage, stdout)
	flags.StringVar(&o.url, "url", "", "`URL` to post to")
	flags.StringVar(&o.body, "body", "", "`file` that is posted")
	flags.BoolVar(&o.raw, "raw", false, "say that all of it is a tensor's binary data")
	flags.IntVar(&o.connections, "connections", 1, "connections that ask")
	flags.Float64Var(&o.seconds, "seconds", 5, "how long is asked")
	flags.Float64Var(&o.rate, "rate", 0,
		"requests that are due in a second; 0 for as many as are answered")
	if err := cli.Parse(flags, args); err != nil {
		return nil, err
	}
	if o.url == "" || o.body == "" || o.connections < 1 || !(o.seconds > 0) || !(o.rate >= 0) {
		return nil, errors.New("-url and -body are needed, and numbers above 0")
	}
	return o, nil
}

// load asks until the time is over.
func (o *options) load(ctx context.Context, body []byte) result {
	first, err := o.connect(body)
	if err == nil {
		err = first.ask() // also what the server does but once
		first.close()
	}
	if err != nil {
		return result{Failures: 1, Failure: err.Error()}
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	var took []time.Duration
	r := result{}
	began := time.Now()
	end := began.Add(time.Duration(o.seconds * float64(time.Second)))
	next := 0 // of the requests that are due at even times
	for range o.connections {
		group.Go(func() {
			var own []time.Duration
			c := connection{host: first.host, request: first.request}
			defer c.close()
			for ctx.Err() == nil {
				due := time.Now()
				if o.rate > 0 {
					mu.Lock()
					due = began.Add(time.Duration(float64(next) / o.rate * float64(time.Second)))
					next++
					mu.Unlock()
					time.Sleep(time.Until(due))
				}
				if !due.Before(end) {
					break
				}
				if err := c.ask(); err != nil {
					mu.Lock()
					r.Failures++
					r.Failure = err.Error()
					mu.Unlock()
					continue
				}
				own = append(own, time.Since(due))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	group.Wait()
	r.summarise(took, time.Since(began))
	return r
}

func (r *result) summarise(took []time.Duration, all time.Duration) {
	r.Requests = len(took)
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}
	r.PerSecond, r.P50, r.P99, r.Max = float64(len(took))/all.Seconds(), at(0.5), at(0.99), at(1)
}
