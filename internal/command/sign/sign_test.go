package sign_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/command/sbom"
	"slipway/internal/command/sign"
	"slipway/internal/command/verify"
)

// repository is Slipway's folder.
func repository(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

type command func(ctx context.Context, args []string, stdout, stderr io.Writer) int

func run(t *testing.T, c command, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = c(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyTable copies the conformance table, as if it were of the graph in graphs/, which may have
// been trained anew since.
func copyTable(t *testing.T, root, graph string) {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(root, "docs", "conformance.json"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(graph)
	if err != nil {
		t.Fatal(err)
	}
	tested := regexp.MustCompile(`"model": "e1\.onnx",\s*"model_sha256": "([0-9a-f]{64})"`).
		FindSubmatch(table)
	if tested == nil {
		t.Fatal("the table has no e1.onnx")
	}
	now := fmt.Appendf(nil, "%x", sha256.Sum256(content))
	if err := os.MkdirAll("docs", 0o755); err != nil {
		t.Fatal(err)
	}
	table = bytes.ReplaceAll(table, tested[1], now)
	if err := os.WriteFile(filepath.Join("docs", "conformance.json"), table, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The commands of docs/provenance.md run as they stand, in a folder with the files that it speaks
// of, and say what it says.
func TestDocument(t *testing.T) {
	root := repository(t)
	text, err := os.ReadFile(filepath.Join(root, "docs", "provenance.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	graph := filepath.Join(root, "graphs", "e1.onnx")
	for _, path := range []string{"mine.onnx", "graphs/e1.onnx", "model/mine.onnx"} {
		copyTo(t, graph, filepath.FromSlash(path))
	}
	copyTable(t, root, graph)
	commands := map[string]command{"sign": sign.Run, "verify": verify.Run, "sbom": sbom.Run}
	ran, said := make(map[string]int), ""
	lines := regexp.MustCompile(`(?m)^    bin/(\w+) (.*)$`)
	for _, line := range lines.FindAllStringSubmatch(string(text), -1) {
		c, ok := commands[line[1]]
		if !ok {
			ran[line[1]]++
			continue
		}
		code, stdout, stderr := run(t, c, strings.Fields(line[2])...)
		if code != cli.ExitOK || stderr != "" {
			t.Fatalf("%s: exit %d: %s%s", line[0], code, stdout, stderr)
		}
		ran[line[1]]++
		said += stdout
	}
	if ran["sign"] < 4 || ran["verify"] < 3 || ran["sbom"] != 1 || ran["serve"] != 1 || len(ran) != 4 {
		t.Errorf("ran %v", ran)
	}
	promised := regexp.MustCompile(`(?m)^    (e1\.onnx: PASSED.* key) …$`).
		FindStringSubmatch(string(text))
	if promised == nil || !strings.Contains(said, promised[1]) {
		t.Errorf("the page promises %q, and this was said:\n%s", promised, said)
	}

	// One changed bit, as the page says.
	content, err := os.ReadFile("mine.onnx")
	if err != nil {
		t.Fatal(err)
	}
	content[1000] ^= 1
	if err := os.WriteFile("mine.onnx", content, 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, verify.Run, "-key", "key.pub", "mine.onnx", "graphs/e1.onnx")
	if code != cli.ExitFailure || !strings.Contains(string(text), "    "+strings.Split(stderr,
		"\n")[0]+"\n") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "e1.onnx.sig") {
		t.Errorf("the second model was not looked at: %s", stderr)
	}
	// A graph that has changed is not attested, and nothing is written.
	code, _, stderr = run(t, sign.Run, "-key", "key.pem", "-test-results", "docs/conformance.json",
		"-o",
		"not.sig", "mine.onnx")
	if _, err := os.Stat("not.sig"); code != cli.ExitFailure || err == nil ||
		!strings.Contains(stderr, "has changed since") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	code, _, stderr = run(t, verify.Run, "-key", "key.pub", "-test-results", "e1.tests.sig",
		"mine.onnx")
	if code != cli.ExitFailure || !strings.Contains(stderr, "none of the graphs that were tested") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	code, _, stderr = run(t, verify.Run, "-key", "key.pub", "-signature", "e1.tests.sig", "mine.onnx")
	if code != cli.ExitFailure || !strings.Contains(stderr, "no model") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A test that failed is told, and ends verify with 1.
func TestFailedTests(t *testing.T) {
	t.Chdir(t.TempDir())
	table := `{"rows":[{"model":"m","model_sha256":"` + strings.Repeat("ab", 32) +
		`","runtime":"r","version":"1","precision":"float32","status":"disagrees"}]}`
	if err := os.WriteFile("table.json", []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-new-key", "key.pem"}, {"-key", "key.pem", "-test-results",
		"table.json", "-o", "tests.sig"}} {
		if code, _, stderr := run(t, sign.Run, args...); code != cli.ExitOK {
			t.Fatalf("exit %d: %s", code, stderr)
		}
	}
	code, stdout, stderr := run(t, verify.Run, "-key", "key.pub", "-test-results", "tests.sig")
	if code != cli.ExitFailure || !strings.Contains(stdout, "FAILED") ||
		!strings.Contains(stderr, "m in r 1, float32") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// A key that others may read signs, and the reader is told.
func TestAKeyThatOthersMayRead(t *testing.T) {
	root := repository(t)
	t.Chdir(t.TempDir())
	copyTo(t, filepath.Join(root, "graphs", "e1.onnx"), "mine.onnx")
	if code, _, stderr := run(t, sign.Run, "-new-key", "key.pem"); code != cli.ExitOK {
		t.Fatal(stderr)
	}
	for _, mode := range []os.FileMode{0o600, 0o644} {
		if err := os.Chmod("key.pem", mode); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := run(t, sign.Run, "-key", "key.pem", "mine.onnx")
		told := strings.Contains(stderr, "chmod 600 key.pem")
		if want := mode != 0o600 && runtime.GOOS != "windows"; code != cli.ExitOK || told != want {
			t.Errorf("%v: exit %d: %q, want told %v", mode, code, stderr, want)
		}
	}
}

// What is wrong is told with the exit code that it has, and nothing is written.
func TestBadUse(t *testing.T) {
	root := repository(t)
	t.Chdir(t.TempDir())
	copyTo(t, filepath.Join(root, "graphs", "e1.onnx"), "mine.onnx")
	if code, _, stderr := run(t, sign.Run, "-new-key", "key.pem"); code != cli.ExitOK {
		t.Fatal(stderr)
	}
	if err := os.WriteFile("settings.json", []byte(`{"bomFormat": 3}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		run  command
		args []string
		code int
		says string
	}{
		"no key":       {sign.Run, []string{"mine.onnx"}, 2, "-new-key key.pem makes one"},
		"no model":     {sign.Run, []string{"-key", "key.pem"}, 2, "nothing to sign"},
		"an empty key": {sign.Run, []string{"-key", "", "mine.onnx"}, 2, "-key names no file"},
		"a key and models": {sign.Run, []string{"-new-key", "other.pem", "mine.onnx"}, 2,
			"nothing else"},
		"a key that is": {sign.Run, []string{"-new-key", "key.pem"}, 1, "there already"},
		"one name for two": {sign.Run, []string{"-key", "key.pem", "-o", "s", "a", "b"}, 2,
			"-o is of one"},
		"results to where": {sign.Run, []string{"-key", "key.pem", "-test-results", "t"}, 2, "needs -o"},
		"the public key":   {sign.Run, []string{"-key", "key.pub", "mine.onnx"}, 1, "takes the private"},
		"no such model":    {sign.Run, []string{"-key", "key.pem", "nothing"}, 1, "no such file"},
		"no such results": {sign.Run, []string{"-key", "key.pem", "-test-results", "t", "-o", "s"}, 1,
			"no such file"},
		"no results": {sign.Run, []string{"-key", "key.pem", "-test-results", "mine.onnx", "-o",
			"s"}, 1, "no conformance table"},
		"no certificate": {sign.Run, []string{"-key", "key.pem", "-certificate", "key.pub",
			"mine.onnx"}, 1, "certificates alone"},
		"an unknown flag": {sign.Run, []string{"-keys", "x"}, 2, "did you mean -key?"},
		"whose":           {verify.Run, []string{"mine.onnx"}, 2, "whose signature?"},
		"of both": {verify.Run, []string{"-key", "a", "-certificates", "b", "mine.onnx"}, 2,
			"one of them"},
		"verify nothing": {verify.Run, []string{"-key", "key.pub"}, 2, "nothing to verify"},
		"the private key": {verify.Run, []string{"-key", "key.pem", "mine.onnx"}, 1,
			"takes the public key"},
		"not signed": {verify.Run, []string{"-key", "key.pub", "mine.onnx"}, 1, "mine.onnx.sig"},
		"no signature": {verify.Run, []string{"-key", "key.pub", "-signature", "mine.onnx",
			"mine.onnx"}, 1, "no sigstore bundle"},
		"two of one": {verify.Run, []string{"-key", "k", "-signature", "s", "a", "b"}, 2,
			"-signature is of one"},
		"tests and a model": {verify.Run, []string{"-key", "k", "-signature", "s", "-test-results",
			"t"}, 2, "one of them"},
		"a bill of nothing": {sbom.Run, nil, 2, "the model is missing"},
		"a bill of two":     {sbom.Run, []string{"a", "b"}, 2, "one model"},
		"a bill to nowhere": {sbom.Run, []string{"-o", "", "mine.onnx"}, 2, "ends in .json"},
		"over the model":    {sbom.Run, []string{"-o", "mine.onnx", "mine.onnx"}, 2, "ends in .json"},
		"over no bill": {sbom.Run, []string{"-o", "settings.json", "mine.onnx"}, 1,
			"settings.json: it is there, is no bill"},
		"a bill of a key": {sbom.Run, []string{"-o", "bill.json", "key.pem"}, 1, "key.pem"},
		"the model's place": {sign.Run, []string{"-key", "key.pem", "-o", "mine.onnx", "mine.onnx"}, 1,
			"is not written over"},
		"the key's place": {sign.Run, []string{"-key", "key.pem", "-o", "key.pem", "mine.onnx"}, 1,
			"is not written over"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := run(t, test.run, test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) || stdout != "" {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
		})
	}
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 4 {
		t.Errorf("there are %v, %v", entries, err)
	}
	for _, c := range []command{sign.Run, verify.Run, sbom.Run} {
		for _, flag := range []string{"-h", "-version"} {
			if code, stdout, _ := run(t, c, flag); code != cli.ExitOK || stdout == "" {
				t.Errorf("%s: exit %d, %s", flag, code, stdout)
			}
		}
	}
}
