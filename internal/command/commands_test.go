// Package command_test tests what all commands have in common, on the commands as they
// are built: help with examples, errors that name the nearest flag, and completion
// in the shells themselves.
package command_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/cli"
)

// subcommands lists, for each command that has any, its subcommands. That it lists
// every command is tested.
var subcommands = map[string][]string{
	"dataset":    {"show", "fetch", "pack", "cache"},
	"doctor":     nil,
	"experiment": {"compare", "curves", "insights", "list", "report", "run"},
	"export":     nil,
	"infer":      {"compare", "robustness"},
	"inspect":    nil,
	"sbom":       nil,
	"serve":      nil,
	"sign":       nil,
	"train":      nil,
	"verify":     nil,
}

// calls are all commands and subcommands, each by its link and by the program itself.
func calls() []string {
	var all []string
	for command, more := range subcommands {
		all = append(all, command, "slipway "+command)
		for _, sub := range more {
			all = append(all, command+" "+sub, "slipway "+command+" "+sub)
		}
	}
	slices.Sort(all)
	return all
}

var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "slipway-commands")
	if err != nil {
		return "", err
	}
	for _, step := range [][]string{
		{"go", "build", "-o", filepath.Join(folder, "slipway"), "../../cmd/slipway"},
		{"../../scripts/link-commands", folder},
	} {
		if output, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil {
			return folder, fmt.Errorf("%v: %w: %s", step, err, output)
		}
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if !testing.Short() {
		if folder, _ := built(); folder != "" {
			os.RemoveAll(folder)
		}
	}
	os.Exit(code)
}

// commands builds the program, once, and returns its folder, in which links to it are called as the
// commands.
func commands(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the program by itself")
	}
	folder, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

type result struct {
	code           int
	stdout, stderr string
}

func runIn(t *testing.T, dir string, command string, args ...string) result {
	t.Helper()
	// Built before the time begins to run: on a busy machine that takes minutes.
	program := filepath.Join(commands(t), command)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = dir
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); c.ProcessState == nil {
		t.Fatalf("%s %v: %v", command, args, err)
	}
	return result{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestEveryCommandIsListed(t *testing.T) {
	entries, err := os.ReadDir("../../cmd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if _, listed := subcommands[name]; entry.IsDir() && !listed && name != "slipway" {
			t.Errorf("subcommands lacks %s", name)
		}
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^COMMANDS := (.*)$`).FindStringSubmatch(string(makefile))
	if line == nil {
		t.Fatal("the Makefile has no COMMANDS")
	}
	script, err := os.ReadFile("../../scripts/link-commands")
	if err != nil {
		t.Fatal(err)
	}
	linked := regexp.MustCompile(`(?m)^for command in (.*); do$`).FindSubmatch(script)
	if linked == nil {
		t.Fatal("scripts/link-commands has no list of commands")
	}
	known := []string(cli.CommandNames())
	slices.Sort(known)
	for place, list := range map[string][]string{
		"the Makefile's COMMANDS": strings.Fields(line[1]),
		"scripts/link-commands":   strings.Fields(string(linked[1])),
		"the tests' subcommands":  slices.Collect(maps.Keys(subcommands)),
	} {
		slices.Sort(list)
		if !slices.Equal(list, known) {
			t.Errorf("%s are %v, and cli.CommandNames %v", place, list, known)
		}
	}
}

// Help goes to standard output, is no failure, and has two examples at least.
func TestHelp(t *testing.T) {
	for _, call := range calls() {
		words := strings.Fields(call)
		for _, flag := range []string{"-h", "-help", "--help"} {
			r := runIn(t, t.TempDir(), words[0], append(words[1:], flag)...)
			if r.code != 0 || r.stderr != "" {
				t.Errorf("%s %s: exit %d, %q", call, flag, r.code, r.stderr)
			}
			if examples := examplesIn(r.stdout, commandOf(words)); len(examples) < 2 {
				t.Errorf("%s %s has %d examples:\n%s", call, flag, len(examples), r.stdout)
			}
		}
	}
}

// commandOf returns the words of a call that are its command: slipway train, or train.
func commandOf(words []string) string {
	if words[0] == "slipway" && len(words) > 1 {
		return words[0] + " " + words[1]
	}
	return words[0]
}

// examplesIn returns the lines of a help text that are calls of the command.
func examplesIn(help, command string) []string {
	var examples []string
	for _, line := range strings.Split(help, "\n") {
		if strings.HasPrefix(line, "  "+command) &&
			(line == "  "+command || line[2+len(command)] == ' ') {
			examples = append(examples, strings.TrimSpace(line))
		}
	}
	return examples
}

// A flag that is nearly right is named in the error, and nothing else happens.
func TestUnknownFlag(t *testing.T) {
	flagLine := regexp.MustCompile(`(?m)^  -([a-z0-9-]{4,})`)
	for _, call := range calls() {
		words := strings.Fields(call)
		help := runIn(t, t.TempDir(), words[0], append(words[1:], "-h")...).stdout
		found := flagLine.FindAllStringSubmatch(help, -1)
		for _, flag := range found {
			// The last letter but one is left out: -epohs.
			name := flag[1]
			wrong := name[:len(name)-2] + name[len(name)-1:]
			if slices.ContainsFunc(found, func(other []string) bool { return other[1] == wrong }) {
				continue
			}
			dir := t.TempDir()
			r := runIn(t, dir, words[0], append(words[1:], "-"+wrong+"=1")...)
			if r.code != 2 || r.stdout != "" ||
				!regexp.MustCompile(`unknown flag -`+wrong+`; did you mean .*-`+name+`[,?]`).
					MatchString(r.stderr) {
				t.Errorf("%s -%s: exit %d, %q", call, wrong, r.code, r.stderr)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				t.Errorf("%s -%s left %v behind (%v)", call, wrong, entries, err)
			}
		}
		if len(found) == 0 && !strings.HasSuffix(call, "dataset fetch") {
			t.Errorf("%s has no flags in its help:\n%s", call, help)
		}
	}
}

// A word that is nearly right is named in the error.
func TestWrongValue(t *testing.T) {
	for _, test := range []struct{ call, want string }{
		{"train -experiment e22", `"e2"`},
		{"train -optimizer adan", `"adam"`},
		{"train -engine gorgona", `"gorgonia"`},
		{"train -device cud", `"cuda"`},
		{"infer -model e1.onnx -runtime onnxruntme", `"onnxruntime"`},
		{"infer -model e1.onnx -device cup", `"cpu"`},
		{"infer compare e1.onnx -runtimes onnxruntime,nativ", `"native"`},
		{"infer compare e1.onnx -device auot", `"auto"`},
		{"export -verify trct", `"tract"`},
		{"serve e1.onnx -runtime nativ", `"native"`},
		{"dataset shwo", `"show"`},
		{"slipway trian", `"train"`},
		{"slipway help trian", `"train"`},
		{"slipway train -experiment e22", `"e2"`},
		{"slipway dataset shwo", `"show"`},
	} {
		words := strings.Fields(test.call)
		r := runIn(t, t.TempDir(), words[0], words[1:]...)
		if r.code != 2 || !strings.Contains(r.stderr, "did you mean") ||
			!strings.Contains(r.stderr[strings.Index(r.stderr, "did you mean"):], test.want) {
			t.Errorf("%s: exit %d, %q; want 2 and %s", test.call, r.code, r.stderr, test.want)
		}
	}
}

// The examples that take no time do what they say.
func TestCheapExamplesRun(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "graphs"), filepath.Join(dir, "graphs")); err != nil {
		t.Fatal(err)
	}
	for _, example := range []struct{ call, want string }{
		{"inspect e2.onnx", "184,586"},
		{"inspect -svg graph.svg e2.onnx", "e2.onnx"},
		{"dataset show -o digits.png t10k", "[10000, 1, 28, 28] uint8"},
		{"doctor", "Go"},
		{"doctor -json", `"checks"`},
		{"infer -model e1.onnx -data t10k -runtime native", "Accuracy"},
	} {
		words := strings.Fields(example.call)
		call := words[0]
		if len(words) > 1 && slices.Contains(subcommands[words[0]], words[1]) {
			call += " " + words[1]
		}
		help := runIn(t, dir, words[0], append(strings.Fields(call)[1:], "-h")...).stdout
		if !slices.ContainsFunc(examplesIn(help, words[0]), func(line string) bool {
			return strings.Join(strings.Fields(strings.Split(line, "#")[0]), " ") == example.call
		}) {
			t.Errorf("%s is no example of its help", example.call)
		}
		r := runIn(t, dir, words[0], words[1:]...)
		if !strings.Contains(r.stdout, example.want) || r.code != 0 && words[0] != "doctor" {
			t.Errorf("%s: exit %d, %q, %q", example.call, r.code, r.stdout, r.stderr)
		}
	}
}
