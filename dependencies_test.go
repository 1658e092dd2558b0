package slipway_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// modulesOf returns the modules that packages and their tests are built from.
func modulesOf(t *testing.T, packages ...string) []string {
	t.Helper()
	arguments := append([]string{"list", "-deps", "-test", "-f", "{{with .Module}}{{.Path}}{{end}}"},
		packages...)
	output, err := exec.Command("go", arguments...).Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(output))
	slices.Sort(modules)
	return slices.Compact(modules)
}

// Benchmarks and other tools for us alone may stay in the module of the library because whoever
// requires that gets no module for their sake. One that needs more is a module of its own, as
// scripts/bench/hugot.
func TestToolsBringNoModule(t *testing.T) {
	output, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var product, tools []string
	for _, name := range strings.Fields(string(output)) {
		if strings.HasPrefix(name, "slipway/scripts/") {
			tools = append(tools, name)
		} else {
			product = append(product, name)
		}
	}
	if len(tools) == 0 {
		t.Fatal("there are no tools")
	}
	known := modulesOf(t, product...)
	for _, module := range modulesOf(t, tools...) {
		if !slices.Contains(known, module) {
			t.Errorf("%s is for tools alone", module)
		}
	}
}
