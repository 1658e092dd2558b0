package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each mutant is compiled from its own text, and as what the rewritten text does when its
// switch is on: both compute the same, and without a switch what the package does.
func TestSwitchesAreTheMutants(t *testing.T) {
	module := testModule(t, "operators")
	p, err := load(t.Context(), module, "operators")
	if err != nil {
		t.Fatal(err)
	}
	mutants := find(p, p.sources[0])
	for i, m := range mutants {
		m.number = i + 1
	}
	write(t, filepath.Join(module, "switched/operators.go"), string(rewrite(p, p.sources[0], mutants)))
	write(t, filepath.Join(module, "switched/switches.go"), switchesFor(p, len(mutants)))
	var imports []string
	calls := ""
	folders := map[int]string{0: "switched", -1: "operators"}
	for _, m := range mutants {
		if !m.ownBuild {
			folders[m.number] = fmt.Sprintf("mutant%d", m.number)
			write(t, filepath.Join(module, folders[m.number], "operators.go"), string(m.text()))
		}
	}
	for _, number := range slices.Sorted(maps.Keys(folders)) {
		imports = append(imports, fmt.Sprintf("%s %q", folders[number], "example/"+folders[number]))
		calls += fmt.Sprintf("\tcase \"%d\":\n\t\tanswers = %s.Answers\n", number, folders[number])
	}
	write(t, filepath.Join(module, "main.go"), `package main

import (
	"fmt"
	"os"

	`+strings.Join(imports, "\n\t")+`
)

func main() {
	var answers func() string
	switch os.Args[1] {
`+calls+`	}
	defer func() {
		if r := recover(); r != nil {
			fmt.Println("panic", r)
		}
	}()
	fmt.Println(answers())
}
`)
	program := filepath.Join(module, "program")
	compile := exec.Command("go", "build", "-gcflags=example/...=-N -l", "-o", program, ".") // quickly
	compile.Dir = module
	if output, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	answers := func(number, active int) string {
		command := exec.Command(program, fmt.Sprint(number))
		command.Env = append(os.Environ(), "MUTATION_SECONDS=1",
			fmt.Sprintf("MUTATION_ACTIVE=%d", active))
		output, err := command.Output()
		if err != nil {
			return err.Error()
		}
		return string(output)
	}
	plain := answers(-1, 0)
	if got := answers(0, 0); got != plain {
		t.Errorf("without a mutation the rewritten text says\n%s\nand the text\n%s", got, plain)
	}
	same := 0
	for _, m := range mutants {
		if m.ownBuild {
			continue
		}
		want, got := answers(m.number, 0), answers(0, m.number)
		if got != want {
			t.Errorf("%d:%d: %s to %s: switched\n%s\nwant\n%s",
				m.line, m.column, m.from, m.to, got, want)
		}
		if got == plain {
			same++
		}
	}
	if same > len(mutants)/10 {
		t.Errorf("%d of %d mutants answer as the text does", same, len(mutants))
	}
}
