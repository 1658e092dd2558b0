package slipway_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/cli"
)

// testedElsewhere are the pages whose commands other tests run as they stand, and pages that a
// script makes of the commands that it ran.
var testedElsewhere = map[string]string{
	"docs/fine-tuning.md":    "TestFineTuningTutorial",
	"docs/multi-label.md":    "TestMultiLabelPage",
	"docs/tutorial-study.md": "TestTutorial in internal/command/experiment",
	"docs/provenance.md":     "TestThePage in internal/command/sign",
	"docs/own-program.md":    "the tests of infer/classify",
	"docs/photographs.md":    "written by scripts/photographs",
	"docs/dist.md":           "written by scripts/dist",
}

// skippedCommands are those of the pages that this test cannot run, by what they begin with or have
// in them, with the reason.
var skippedCommands = []struct{ part, why string }{
	{"efficientnet_lite0",
		"downloads a network; TestFineTuningTutorial runs the same with a small one"},
	{"lite0.onnx", "is of a network that is downloaded"},
	{"http://", "needs a server"},
	{"-mlflow env", "needs a server's address"},
	{"experiments/", "takes minutes; .ci/run runs all studies in their short form"},
	{"experiment insights", "is of experiments/; TestInsights compares its page"},
	{"-unseen optdigits,fashion", "downloads sets"},
	{"mpirun", "scripts/mpi runs ranks under launchers"},
	{"srun", "needs Slurm"},
	{"go ", "is a test or a benchmark of its own"},
	{"python", "needs other programs"},
	{"curl", "asks a server; the tests of infer/serve do"},
	{"git ", "is the way to this folder"},
	{"scripts/", "brings other programs, or writes into this folder"},
	{"slipway-gpu/", "needs a GPU"},
}

// shortForms make a command short, or give it what the reader is told to have.
var shortForms = []struct {
	where         *regexp.Regexp
	from, becomes string
}{
	{regexp.MustCompile(`.`), " -epochs 90", " -epochs 2"},
	{regexp.MustCompile(`.`), " -warmup-epochs 5", " -warmup-epochs 1"},
	{regexp.MustCompile(`train.*-network resnet18`), " -resize 96", " -resize 32"},
	{regexp.MustCompile(`dataset show`), "-data train", "-data t10k"},
	{regexp.MustCompile(`infer robustness`), "-model e2.onnx",
		"-model e2.onnx -corruptions brightness"},
	{regexp.MustCompile(`export`), "-verify all", "-verify native,onnxruntime"},
	{regexp.MustCompile(`infer -model mine.onnx -top 3 cat.jpg holiday/ -`), "holiday/ -", "holiday/"},
	{regexp.MustCompile(`serve`), "-listen :8443 ", ""},
	{regexp.MustCompile(`train.* -from other.onnx`), " -lr", " -data t10k -test none -name other -lr"},
}

// The commands of the documents are run, those that take long in a short form, in a folder that has
// what the pages speak of. The targets of make that they name are there.
func TestCommandsOfTheDocuments(t *testing.T) {
	command := buildCommands(t)
	run := func(folder, name string, arguments ...string) (string, int) {
		t.Helper()
		c := command(folder, name, arguments...)
		output, _ := c.CombinedOutput() // the exit code says it
		return string(output), c.ProcessState.ExitCode()
	}
	template := t.TempDir()
	writeWhatPagesSpeakOf(t, template, run)
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	ran, targets, skipped := 0, 0, make(map[string]int)
	for _, page := range append([]string{"README.md"}, found(t, "docs/*.md")...) {
		if testedElsewhere[page] != "" {
			continue
		}
		folder := t.TempDir()
		if err := os.CopyFS(folder, os.DirFS(template)); err != nil {
			t.Fatal(err)
		}
		for number, line := range commandsOf(t, page) {
			if why := whySkipped(line); why != "" {
				skipped[why]++
				continue
			}
			if words := strings.Fields(line); words[0] == "make" {
				targets += makeTargets(t, page, words[1:], string(makefile))
				continue
			}
			words := strings.Fields(shortened(line, number))
			name := strings.TrimPrefix(words[0], "bin/")
			if name == "serve" {
				serves(t, page+": "+line,
					command(folder, name, append([]string{"-listen", "127.0.0.1:0"}, words[1:]...)...))
				ran++
				continue
			}
			start := time.Now()
			output, code := run(folder, name, words[1:]...)
			if took := time.Since(start); took > 2*time.Second {
				t.Logf("%.0f s: %s", took.Seconds(), strings.Join(words, " "))
			}
			want := 0
			forGPU := slices.ContainsFunc(words, func(word string) bool {
				return word == "cuda" || word == "tf32" || word == "bf16"
			})
			if forGPU && strings.Contains(output, "no CUDA") {
				want = cli.ExitFailure // as the page says: an error that names what is missing
			}
			if code != want {
				t.Errorf("%s: %s\nas %s: exit %d: %s", page, line, strings.Join(words, " "), code, output)
			}
			ran++
		}
	}
	for why, count := range skipped {
		t.Logf("not run, %d: %s", count, why)
	}
	t.Logf("%d commands run, %d targets of make are there", ran, targets)
	if ran < 60 || targets < 25 {
		t.Errorf("%d commands and %d targets: the pages are not read as they were", ran, targets)
	}
}

func found(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// commandsOf returns the commands in the code of a page, without the comments behind them.
func commandsOf(t *testing.T, page string) []string {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`^(bin/|make |mpirun |srun |go |python3? |curl |git |scripts/)`)
	var all []string
	fenced := false
	text := strings.ReplaceAll(string(raw), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		code, indented := strings.CutPrefix(line, "    ")
		if !indented && !fenced || !command.MatchString(strings.TrimSpace(code)) {
			continue
		}
		code, _, _ = strings.Cut(strings.TrimSpace(code), " # ")
		all = append(all, strings.TrimSpace(code))
	}
	return all
}

func whySkipped(line string) string {
	for _, skipped := range skippedCommands {
		if strings.HasPrefix(line, skipped.part) || strings.Contains(line, skipped.part) &&
			!strings.HasSuffix(skipped.part, " ") {
			return skipped.why
		}
	}
	return ""
}

// makeTargets checks that what make is told to make is a target, and returns how many there are.
func makeTargets(t *testing.T, page string, words []string, makefile string) int {
	t.Helper()
	count := 0
	for _, word := range words {
		if strings.ContainsAny(word, "=/'") {
			break // a variable, and what its value goes on with
		}
		count++
		if !strings.Contains(makefile, "\n"+word+":") &&
			!regexp.MustCompile(`(?m)^[a-z0-9 -]*\b`+regexp.QuoteMeta(word)+`\b[a-z0-9 -]*:`).
				MatchString(makefile) {
			t.Errorf("%s: the Makefile has no target %s", page, word)
		}
	}
	return count
}

// shortened is the form of a command that is run.
func shortened(line string, number int) string {
	for _, form := range shortForms {
		if form.where.MatchString(line) {
			line = strings.Replace(line, form.from, form.becomes, 1)
		}
	}
	if !strings.HasPrefix(line, "bin/train") {
		return line
	}
	if !strings.Contains(line, "-data") && !strings.Contains(line, "-resume") {
		line += fmt.Sprintf(" -data own -network own.json -name run%d", number)
	}
	if !strings.Contains(line, "-epochs") && !strings.Contains(line, "-find-lr") {
		line += " -epochs 1"
	}
	return line
}

// serves starts the server, asks whether it is ready, and ends it.
func serves(t *testing.T, line string, server *exec.Cmd) {
	t.Helper()
	address, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	lines := bufio.NewScanner(address)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "http") {
		t.Errorf("%s says no address but %q", line, lines.Text())
	}
	if err := server.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("%s: %v: %s", line, err, &log)
	}
}

// writeWhatPagesSpeakOf writes sets of pictures, networks, models and runs of the names that the
// pages use.
func writeWhatPagesSpeakOf(t *testing.T, folder string, run func(string, string, ...string) (string,
	int)) {
	t.Helper()
	for _, set := range []string{"own", "birds", "other"} {
		for _, part := range []string{"train", "test"} {
			for class, name := range []string{"ant", "bee"} {
				for i := range 6 {
					writePhoto(t, filepath.Join(folder, set, part, name, fmt.Sprintf("%d.jpg", i)),
						len(set)*40+100*class+5*i+len(part))
				}
			}
		}
	}
	for _, name := range []string{"cat.jpg", "robin.jpg", "photo.jpg", "holiday/1.jpg",
		"holiday/2.jpg"} {
		writePhoto(t, filepath.Join(folder, name), len(name))
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("own.json",
		`{"name": "own", "input": [3, 64, 64], "layers": [{"avgpool2d": {"kernel": 8}}, "flatten", {"dense": {"units": 2}}]}`)
	write("mine.yaml",
		"data: own\nnetworks:\n  tiny:\n    input: [3, 64, 64]\n    layers:\n    - avgpool2d: {kernel: 8}\n    - flatten\n    - dense: {units: 2}\n"+
			"base: tiny\nfixed: {epochs: 1}\ngrid: {learning_rate: [0.001, 0.01]}\n")
	copyFile := func(from, to string) {
		t.Helper()
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, to)), 0o777); err != nil {
			t.Fatal(err)
		}
		write(to, string(raw))
	}
	copyFile("graphs/e1.onnx", "graphs/e1.onnx")
	copyFile("graphs/e2.onnx", "graphs/e2.onnx")
	copyFile("graphs/e1.onnx", "other.onnx")
	copyFile("graphs/e1.onnx", "models/e1.onnx")
	must := func(name string, arguments ...string) {
		t.Helper()
		if output, code := run(folder, name, arguments...); code != 0 {
			t.Fatalf("%s %v: exit %d: %s", name, arguments, code, output)
		}
	}
	for _, name := range []string{"e1", "e1-again", "e2", "dropout", "mine"} {
		must("train", "-data", "own", "-network", "own.json", "-epochs", "1", "-name", name)
	}
	must("export", "-run", "runs/mine", "-o", "mine.onnx")
	if err := os.MkdirAll(filepath.Join(folder, "runs", "studies"), 0o777); err != nil {
		t.Fatal(err)
	}
	must("sign", "-new-key", "key.pem")
	write("token", "a-token-that-is-long-enough\n")
	write("cert.pem", certificate(t, filepath.Join(folder, "key.pem")))
}

// writePhoto writes a picture of 64×64 pixels.
func writePhoto(t *testing.T, path string, shade int) {
	t.Helper()
	drawn := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for y := range 64 {
		for x := range 64 {
			drawn.SetRGBA(x, y, color.RGBA{uint8(shade + x), uint8(shade * y / 9), uint8(255 - shade), 255})
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, drawn, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// certificate returns one of this machine that a private key has signed itself.
func certificate(t *testing.T, key string) string {
	t.Helper()
	raw, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	signer := private.(crypto.Signer)
	der, err := x509.CreateCertificate(rand.Reader, wanted, wanted, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
