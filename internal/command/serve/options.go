package serve

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"slipway/infer"
	"slipway/infer/serve"
	"slipway/internal/cli"
	"slipway/provenance"
)

// tokenVariable is the environment variable of the token.
const tokenVariable = "SLIPWAY_SERVE_TOKEN"

// shortestToken is the fewest bytes of a token: fewer can be guessed.
const shortestToken = 16

const usage = `serve answers about pictures over HTTP and gRPC with ONNX image classifiers.

  serve e1.onnx                                       # at http://127.0.0.1:8000/, which has a page to try it
  serve -listen 127.0.0.1:8080 birds.onnx models/     # a file, and all models of a folder
  serve -grpc-listen 127.0.0.1:8001 models/           # gRPC as well
  serve -runtime onnxruntime models/
  serve -require-signature key.pub models/            # nothing that is not signed is served: docs/provenance.md
  serve -listen :8443 -tls-cert cert.pem -tls-key key.pem -token-file token models/
  curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/v2/models/e1/classify

A folder holds NAME.onnx, or NAME/VERSION/model.onnx with a number for VERSION. It is looked through
every -poll: what is new is loaded, what has changed is replaced at once, what is gone is let go. A
file that cannot be served leaves what was served before.

It speaks the Open Inference Protocol (KServe, Triton) in JSON, in binary and by gRPC: docs/serve.md.
Metrics are at /metrics, the log is JSON on standard error.

A token, from -token-file or ` + tokenVariable + `, is asked of every request but those for
health. Without one only this machine's own addresses are served, unless -without-token is given.

Exit status: 0 it was told to end (Ctrl-C, SIGTERM) and has answered what it had begun; 1 a failure;
2 wrong usage.

Flags:
`

// options is what the command line asks for.
type options struct {
	serve     serve.Config
	listening serve.Listening
	device    string
	logLevel  string
	token     string // the file
	signer    string // the file of the public key that models must be signed by
	version   bool

	body, memory string
}

// parse reads the command line. Its error is wrong usage.
func parse(args []string, environment func(string) string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := cli.NewFlagSet("serve", usage, stdout)
	o.define(flags)
	models, err := cli.ParseOperands(flags, args, cli.Models{}, cli.Words{cli.FolderNames})
	if err != nil || o.version {
		return o, err
	}
	o.serve.Models = models
	return o, o.check(cli.Given(flags), environment)
}

func (o *options) define(flags *flag.FlagSet) {
	l := serve.DefaultLimits()
	runtimes := []string{infer.RuntimeNative, infer.RuntimeONNXRuntime}
	devices := []string{string(infer.DeviceAuto), string(infer.DeviceCPU), string(infer.DeviceCUDA)}
	flags.StringVar(&o.listening.HTTP, "listen", "127.0.0.1:8000",
		"`address` and port; port 0 takes a free one, which is printed")
	flags.StringVar(&o.listening.GRPC, "grpc-listen", "",
		"`address` and port of gRPC as well, such as 127.0.0.1:8001")
	flags.StringVar(&o.listening.CertFile, "tls-cert", "", "PEM `file` of a certificate: serve HTTPS")
	flags.StringVar(&o.listening.KeyFile, "tls-key", "", "PEM `file` of the certificate's key")
	flags.StringVar(&o.token, "token-file", "",
		"`file` with the token that requests must bear; or "+tokenVariable)
	flags.StringVar(&o.signer, "require-signature", "",
		"PEM `file` of a public key: serve only models that it verifies the signature of (command sign)")
	flags.BoolVar(&o.listening.Public, "without-token", false,
		"let whoever reaches another address than this machine's own ask")
	cli.Choice(flags, &o.serve.Runtime, "runtime", infer.RuntimeNative, runtimes,
		strings.Join(runtimes, " or "))
	cli.Choice(flags, &o.device, "device", string(infer.DeviceAuto), devices,
		"auto, cpu or cuda, for onnxruntime")
	flags.StringVar(&o.serve.RuntimeOptions.Library, "library", "",
		"onnxruntime's shared library `file`; else "+infer.LibraryVariable+
			", then what make setup brought")
	flags.StringVar(&o.serve.RuntimeOptions.Output, "output", "",
		"`name` of the score output of models with several")
	flags.IntVar(&o.serve.RuntimeOptions.Threads, "threads", 0,
		"threads to compute a batch with; 0 for one each core")
	flags.DurationVar(&o.serve.Poll, "poll", serve.DefaultPoll, "time between two looks at the models")
	flags.IntVar(&o.serve.MaxBatch, "max-batch", serve.DefaultMaxBatch,
		"images computed together; 1 keeps requests apart")
	flags.DurationVar(&o.serve.MaxWait, "max-wait", 0,
		"how long a request waits for others to share its batch; with 0, those that came while "+
			"the model was busy are the next batch")
	flags.StringVar(&o.body, "max-body", "64MiB", "`bytes` of a request's body")
	flags.StringVar(&o.memory, "max-memory", "1GiB", "`bytes` of all bodies held at one time")
	flags.IntVar(&o.serve.Limits.Pixels, "max-pixels", l.Pixels, "width × height of a picture")
	flags.IntVar(&o.serve.Limits.Queue, "max-queue", l.Queue, "requests that wait for one model")
	flags.IntVar(&o.serve.Limits.Requests, "max-requests", l.Requests, "requests at one time")
	flags.IntVar(&o.serve.Limits.Connections, "max-connections", l.Connections, "open connections")
	flags.DurationVar(&o.serve.Limits.HeaderTime, "header-time", l.HeaderTime,
		"longest time of a request's header")
	flags.DurationVar(&o.serve.Limits.BodyTime, "body-time", l.BodyTime,
		"longest time of a request's body")
	flags.DurationVar(&o.serve.Limits.AnswerTime, "answer-time", l.AnswerTime,
		"longest time of an answer: waiting, decoding and computing")
	flags.DurationVar(&o.serve.Limits.DrainTime, "drain-time", l.DrainTime,
		"how long requests may take to end when the server does")
	flags.DurationVar(&o.serve.DrainDelay, "drain-delay", 0,
		"how long requests are still accepted once readiness has ended")
	cli.Choice(flags, &o.logLevel, "log-level", "info", []string{"debug", "info", "warn", "error"},
		"what is logged: debug has every request")
	flags.BoolVar(&o.version, "version", false, "print the version")
}

func (o *options) check(given map[string]bool, environment func(string) string) error {
	if len(o.serve.Models) == 0 {
		return errors.New(
			"there is nothing to serve: name a model, such as e1.onnx, or a folder of models")
	}
	if (o.listening.CertFile == "") != (o.listening.KeyFile == "") {
		return errors.New("-tls-cert and -tls-key go together")
	}
	for _, name := range []string{"device", "library"} {
		if given[name] && o.serve.Runtime != infer.RuntimeONNXRuntime {
			return fmt.Errorf("-%s is onnxruntime's: it needs -runtime %s", name, infer.RuntimeONNXRuntime)
		}
	}
	if err := cli.CheckThreads(o.serve.RuntimeOptions.Threads); err != nil {
		return err
	}
	limits := &o.serve.Limits
	for name, value := range map[string]int{"max-batch": o.serve.MaxBatch, "max-pixels": limits.Pixels,
		"max-queue":    limits.Queue,
		"max-requests": limits.Requests, "max-connections": limits.Connections} {
		if value < 1 {
			return fmt.Errorf("-%s %d: at least 1 is needed", name, value)
		}
	}
	for name, value := range map[string]time.Duration{"poll": o.serve.Poll,
		"header-time": limits.HeaderTime, "body-time": limits.BodyTime,
		"answer-time": limits.AnswerTime, "drain-time": limits.DrainTime} {
		if value <= 0 {
			return fmt.Errorf("-%s %v: a time such as 5s or 2m is needed", name, value)
		}
	}
	if o.serve.MaxWait < 0 || o.serve.DrainDelay < 0 {
		return errors.New("-max-wait and -drain-delay may not be negative")
	}
	var err error
	if limits.Body, err = cli.ParseBytes(o.body); err != nil {
		return fmt.Errorf("-max-body: %w", err)
	}
	if limits.Memory, err = cli.ParseBytes(o.memory); err != nil {
		return fmt.Errorf("-max-memory: %w", err)
	}
	if limits.Body > limits.Memory {
		return fmt.Errorf("-max-body %s is above -max-memory %s", o.body, o.memory)
	}
	files := map[string]string{"token-file": o.token, "require-signature": o.signer}
	if err := cli.CheckNamed(given, files); err != nil {
		return err
	}
	o.serve.Token = environment(tokenVariable)
	if given["token-file"] && o.serve.Token != "" {
		return fmt.Errorf("-token-file and %s are both there: one token is asked for", tokenVariable)
	}
	if o.listening.Public && (given["token-file"] || o.serve.Token != "") {
		return errors.New("-without-token does not go with a token")
	}
	return nil
}

// config is what the options ask of package serve, with what they name read.
func (o *options) config(stderr io.Writer) (serve.Config, error) {
	config := o.serve
	config.RuntimeOptions.Device = infer.Device(o.device)
	if o.token != "" {
		text, err := os.ReadFile(o.token)
		if err != nil {
			return config, fmt.Errorf("-token-file: %w", err)
		}
		config.Token = string(bytes.TrimSpace(text))
	}
	if o.token != "" || config.Token != "" {
		if err := checkToken(config.Token); err != nil {
			return config, err
		}
	}
	if o.signer != "" {
		verifier, err := provenance.ReadVerifier(o.signer)
		if err != nil {
			return config, fmt.Errorf("-require-signature: %w", err)
		}
		config.RequireSignature = verifier
	}
	config.Models = nil
	for _, name := range o.serve.Models {
		path, err := cli.FindModel(name)
		if err != nil {
			return config, err
		}
		config.Models = append(config.Models, path)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return config, fmt.Errorf("-log-level: %w", err)
	}
	config.Logger = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	return config, nil
}

// checkToken refuses a token that a header cannot bear, or that can be guessed. It is not repeated.
func checkToken(token string) error {
	if len(token) < shortestToken {
		return fmt.Errorf(
			"the token has %d bytes; at least %d are needed, such as of openssl rand -hex 32",
			len(token), shortestToken)
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return errors.New("the token has a byte that is no printable ASCII letter, digit or sign")
		}
	}
	return nil
}
