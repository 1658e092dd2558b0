package command_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions are lines as somebody types them, the cursor at the end, with words
// that a shell must offer there and words that it must not.
var completions = []struct {
	line       string
	want, deny []string
}{
	{"train -exp", []string{"-experiment"}, []string{"-epochs"}},
	{"train -experiment ", []string{"e1", "e2"}, []string{"-experiment"}},
	{"train -experiment e2 -optimizer ad", []string{"adam", "adamw"}, []string{"sgd"}},
	{"train -data ", []string{"t10k", "train"}, nil},
	{"infer ", []string{"compare", "completion"}, []string{"-model"}},
	{"infer -model ", []string{"e1.onnx", "e2.onnx"}, nil},
	{"infer -model e1.onnx -runtime n", []string{"native"}, []string{"onnxruntime"}},
	{"infer compare e", []string{"e1.onnx", "e2.onnx"}, []string{"compare"}},
	{"infer compare e1.onnx -ru", []string{"-runtimes"}, []string{"-runtime"}},
	{"inspect ", []string{"e1.onnx", "e2.onnx"}, nil},
	{"dataset ", []string{"show", "fetch", "cache"}, nil},
	{"dataset cache -o", []string{"-older"}, nil},
	{"dataset show -col", []string{"-columns"}, nil},
	{"experiment ru", []string{"run"}, []string{"completion"}},
	{"experiment run -quick gr", []string{"graphs"}, nil},
	{"doctor completion ", []string{"bash", "zsh", "fish"}, nil},
	{"serve ", []string{"e1.onnx", "e2.onnx", "graphs"}, []string{"-listen"}},
	{"serve -runtime n", []string{"native"}, []string{"onnxruntime"}},
	{"serve -max-b", []string{"-max-batch", "-max-body"}, nil},
	{"slipway tr", []string{"train"}, []string{"infer"}},
	{"slipway ", []string{"train", "export", "serve", "help", "completion"}, []string{"-version"}},
	{"slipway -ver", []string{"-version"}, nil},
	{"slipway completion ", []string{"bash", "zsh", "fish"}, nil},
	{"slipway help in", []string{"infer", "inspect"}, []string{"train"}},
	{"slipway help infer co", []string{"compare"}, []string{"-model"}},
	{"slipway train -exp", []string{"-experiment"}, []string{"-epochs"}},
	{"slipway infer -model ", []string{"e1.onnx", "e2.onnx"}, nil},
	{"slipway infer compare e1.onnx -ru", []string{"-runtimes"}, []string{"-runtime"}},
	{"slipway export -run ", []string{"graphs"}, []string{"-run"}},
	{"slipway export -verify tr", []string{"tract"}, []string{"openvino"}},
	{"slipway serve -runtime n", []string{"native"}, []string{"onnxruntime"}},
	// The path: export alone is a word of the shells.
	{"bin/export -run ", []string{"graphs"}, []string{"-run"}},
	{"bin/export -verify tr", []string{"tract"}, []string{"openvino"}},
	{"inspect -svg gr", []string{"graphs"}, nil},
}

// completionFolder has graphs/ with two models and bin/ with the commands, and is
// where a shell is started.
func completionFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "graphs"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"e1.onnx", "e2.onnx"} {
		if err := os.WriteFile(filepath.Join(dir, "graphs", name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(commands(t), filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shell runs a script in a shell that finds the commands in its PATH.
func shell(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+commands(t)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"HOME="+t.TempDir(), "TERM=dumb")
	output, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
	return string(output)
}

// quoted is a word in single quotes.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func checkOffers(t *testing.T, line string, offered, want, deny []string) {
	t.Helper()
	for _, word := range want {
		if !slices.Contains(offered, word) {
			t.Errorf("%q: %s is not offered, but %q", line, word, offered)
		}
	}
	for _, word := range deny {
		if slices.Contains(offered, word) {
			t.Errorf("%q: %s is offered: %q", line, word, offered)
		}
	}
}

func TestCompletionInBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	dir := completionFolder(t)
	for _, test := range completions {
		words := strings.Split(test.line, " ")
		var list []string
		for _, word := range words {
			list = append(list, quoted(word))
		}
		command := words[0]
		script := "source <(" + command + " completion bash)\n" +
			"COMP_WORDS=(" + strings.Join(list, " ") + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n" +
			"complete -p " + path.Base(command) + " >/dev/null || exit 1\n" +
			"_slipway_" + path.Base(command) + "\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
		offered := strings.Split(strings.TrimSpace(shell(t, dir, "bash", "--norc", "-c", script)), "\n")
		checkOffers(t, test.line, offered, test.want, test.deny)
	}
	// bash itself splits a word at "=".
	script := "source <(train completion bash)\nCOMP_WORDS=(train -experiment = e); COMP_CWORD=3; _slipway_train; echo \"${COMPREPLY[*]}\"\n" +
		"COMP_WORDS=(train -experiment =); COMP_CWORD=2; _slipway_train; echo \"${COMPREPLY[*]}\"\n"
	if got := shell(t, dir, "bash", "--norc", "-c", script); got != "e1 e2\ne1 e2\n" {
		t.Errorf("-experiment=: %q is offered", got)
	}
}

func TestCompletionInFish(t *testing.T) {
	if _, err := exec.LookPath("fish"); err != nil {
		t.Skip("fish is not installed; apt-get install fish")
	}
	dir := completionFolder(t)
	for _, test := range completions {
		command, _, _ := strings.Cut(test.line, " ")
		output := shell(t, dir, "fish", "--no-config", "-c",
			command+" completion fish | source; complete -C "+quoted(test.line))
		var offered []string
		for _, line := range strings.Split(strings.TrimSpace(output), "\n") {
			word, _, _ := strings.Cut(line, "\t")
			offered = append(offered, strings.TrimSuffix(word, "/"))
		}
		checkOffers(t, test.line, offered, test.want, test.deny)
	}
}

// zsh completes only where somebody types: a zsh in a pseudo-terminal, of its own
// module zpty, is typed to.
func TestCompletionInZsh(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Skip("zsh is not installed; apt-get install zsh")
	}
	dir := completionFolder(t)
	// compadd, which takes what is offered, also says what it takes. Ctrl-T, typed behind the tab, is
	// read when the completion has ended.
	script := `
zmodload zsh/zpty
zpty -b z zsh -f -i
say() { zpty -w z "$1" }
say "PS1=; autoload -Uz compinit; compinit -u -D"
say "compadd() { builtin compadd -O found \"\$@\"; print -l -- '<'\$^found'>' >> offered; builtin compadd \"\$@\" }"
say "answered() { : > answered }; zle -N answered; bindkey '^T' answered"
for command in bin/export dataset doctor experiment infer inspect serve slipway train; do say "source <($command completion zsh)"; done
say "print rea''dy > begun"
for i in {1..600}; do [[ -s begun ]] && break; sleep 0.1; done
`
	for _, test := range completions {
		script += "zpty -w -n z $'\\x15'" + quoted(test.line) + "$'\\t\\x14'\n" +
			"for i in {1..600}; do [[ -e answered ]] && break; sleep 0.02; done\n" +
			"print -r -- " + quoted("line "+test.line) + "; cat offered; rm -f offered answered\n"
	}
	offered := make(map[string][]string)
	line := ""
	for _, text := range strings.Split(shell(t, dir, "zsh", "-f", "-c", script+"zpty -d z\n"), "\n") {
		if begun, ok := strings.CutPrefix(text, "line "); ok {
			line = begun
		} else if word, ok := strings.CutPrefix(text, "<"); ok {
			offered[line] = append(offered[line], strings.TrimSuffix(word, ">"))
		}
	}
	for _, test := range completions {
		checkOffers(t, test.line, offered[test.line], test.want, test.deny)
	}
}
