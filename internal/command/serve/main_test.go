package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/infer/serve"
)

var model = filepath.Join("..", "..", "..", "graphs", "e1.onnx")

const token = "0123456789abcdef"

// output is what a command writes, for a test that reads it meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan string // the first line, if not nil
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if first, _, ok := strings.Cut(o.text.String(), "\n"); ok && o.line != nil {
		o.line <- first
		o.line = nil
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// The command prints its address, logs in JSON, answers, and ends well when it is told to.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stdout, stderr := &output{line: make(chan string, 1)}, &output{}
	address := stdout.line
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-listen", "127.0.0.1:0", "-threads", "1", "-log-level", "debug",
			model}, noEnvironment, stdout, stderr)
	}()
	var url string
	select {
	case url = <-address:
	case c := <-code:
		t.Fatalf("exit %d: %s", c, stderr)
	}
	response, err := http.Get(url + "v2/models/e1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK ||
		!strings.Contains(string(body), `"name":"e1"`) {
		t.Errorf("%d %s %v", response.StatusCode, body, err)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if c := <-code; c != 0 {
		t.Errorf("exit %d: %s", c, stderr)
	}
	for line := range strings.Lines(stderr.String()) {
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" ||
			entry.Msg == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	if !strings.Contains(stderr.String(), `"msg":"a request","endpoint":"model"`) {
		t.Errorf("the request is not logged: %s", stderr)
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A log that cannot be written ends nothing.
func TestALogThatCannotBeWritten(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stdout := &output{line: make(chan string, 1)}
	address := stdout.line
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-listen", "127.0.0.1:0", "-log-level", "debug", model}, noEnvironment,
			stdout, fullDisk{})
	}()
	for range 3 {
		select {
		case url := <-address:
			address <- url
			response, err := http.Get(url + "v2/models/e1/ready")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Error(response.Status)
			}
		case c := <-code:
			t.Fatalf("exit %d", c)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if c := <-code; c != 0 {
		t.Errorf("exit %d", c)
	}
}

// asCommand has the test's own program be the command, to see how the process ends.
const asCommand = "SLIPWAY_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// Whoever reads the log and ends, as head does, ends nothing.
func TestALogThatNobodyReads(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "-listen", "127.0.0.1:0", "-log-level", "debug", model)
	command.Env = append(os.Environ(), asCommand+"=1")
	command.Stderr = writer
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() }) // it has ended, unless the test failed
	writer.Close()
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	for range 3 {
		response, err := http.Get(strings.TrimSpace(url) + "v2/models/e1/ready")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Skip("this system cannot ask a process to end:", err, command.Process.Kill(), command.Wait())
	}
	if err := command.Wait(); err != nil {
		t.Errorf("it ended: %v", err)
	}
}

func noEnvironment(string) string { return "" }

// What is wrong is told with the exit code that it has.
func TestBadUse(t *testing.T) {
	dir := t.TempDir()
	short, sound := filepath.Join(dir, "short"), filepath.Join(dir, "token")
	for path, text := range map[string]string{short: "secret", sound: token + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		args  []string
		token string
		code  int
		says  string
	}{
		"nothing":         {nil, "", 2, "there is nothing to serve"},
		"an unknown flag": {[]string{"-listn", "x", model}, "", 2, "did you mean -listen?"},
		"no such model":   {[]string{"nowhere.onnx"}, "", 1, "there is no model nowhere.onnx"},
		"no sound model": {[]string{"-listen", "127.0.0.1:0", "../../../infer/testdata/truncated.onnx"},
			"", 1, "not a whole ONNX model"},
		"no port": {[]string{"-listen", "127.0.0.1:99999", model}, "", 1, "listen: "},
		"everyone": {[]string{"-listen", ":0", model}, "", 2,
			"give -token-file, or -without-token if they may"},
		"half of TLS": {[]string{"-tls-cert", "x", model}, "", 2,
			"-tls-cert and -tls-key go together"},
		"no certificate":      {[]string{"-tls-cert", "x", "-tls-key", "y", model}, "", 1, "TLS: open x"},
		"a device of native":  {[]string{"-device", "cpu", model}, "", 2, "-device is onnxruntime's"},
		"a library of native": {[]string{"-library", "x", model}, "", 2, "-library is onnxruntime's"},
		"no batch": {[]string{"-max-batch", "0", model}, "", 2,
			"-max-batch 0: at least 1 is needed"},
		"no time": {[]string{"-body-time", "0s", model}, "", 2,
			"-body-time 0s: a time such as"},
		"a negative wait": {[]string{"-max-wait", "-1s", model}, "", 2, "may not be negative"},
		"no size":         {[]string{"-max-body", "much", model}, "", 2, "-max-body: "},
		"a body above all": {[]string{"-max-body", "2GB", model}, "", 2,
			"-max-body 2GB is above -max-memory 1GiB"},
		"negative threads": {[]string{"-threads", "-1", model}, "", 2, "-threads -1 is negative"},
		"no token":         {[]string{"-token-file", "nowhere", model}, "", 1, "-token-file: "},
		"an unnamed token": {[]string{"-token-file", "", model}, "", 2, "-token-file names no file"},
		"a short token": {[]string{"-token-file", short, model}, "", 1,
			"the token has 6 bytes; at least 16"},
		"an odd token": {[]string{model}, token + "\n" + token, 1, "no printable ASCII"},
		"no signer's key": {[]string{"-require-signature", "nowhere", model}, "", 1,
			"-require-signature: "},
		"an unnamed signer":  {[]string{"-require-signature", "", model}, "", 2, "names no file"},
		"two tokens":         {[]string{"-token-file", sound, model}, token, 2, "are both there"},
		"a token for nobody": {[]string{"-without-token", model}, token, 2, "does not go with a token"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, func(name string) string {
				if name == tokenVariable {
					return test.token
				}
				return ""
			}, &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.says) || stdout.Len() > 0 {
				t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
			}
			if test.token != "" && strings.Contains(stderr.String(), test.token) {
				t.Error("the token is printed")
			}
		})
	}
}

// What the flags say is what package serve is asked for.
func TestConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" "+token+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := parse([]string{"-max-body", "1MB", "-max-queue", "7", "-token-file", file, model,
		"-max-wait", "2ms"}, noEnvironment, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	config, err := o.config(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if config.Limits.Body != 1_000_000 || config.Limits.Queue != 7 || config.Token != token ||
		config.MaxWait.String() != "2ms" || len(config.Models) != 1 {
		t.Errorf("%+v", config)
	}
	if defaults := serve.DefaultLimits(); config.Limits.Memory != defaults.Memory ||
		config.Limits.Pixels != defaults.Pixels || config.Limits.AnswerTime != defaults.AnswerTime {
		t.Errorf("%+v", config.Limits)
	}
	for _, args := range [][]string{{"-version"}, {"-h"}} {
		var stdout bytes.Buffer
		if code := run(t.Context(), args, noEnvironment, &stdout, io.Discard); code != 0 ||
			!strings.HasPrefix(stdout.String(), "serve ") {
			t.Errorf("%v: exit %d, %s", args, code, stdout.String())
		}
	}
}
