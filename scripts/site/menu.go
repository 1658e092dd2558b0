package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A section of the menu, and its entries.
type section struct {
	Title   string  `json:"title"`
	Entries []entry `json:"entries"`
}

// An entry is a page of the menu: its place in the project, and its address on the site.
type entry struct {
	Title   string `json:"title"`
	Address string `json:"address"`
	place   string
}

var firstCell = regexp.MustCompile(`^\| \[[^\]]+\]\(([^)\s]+\.md)\)`)

// readMenu reads the sections of the page that lists all others. Entries have no titles yet.
func readMenu(list string) ([]section, error) {
	data, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	var menu []section
	for line := range strings.Lines(string(data)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			menu = append(menu, section{Title: strings.TrimSpace(heading)})
			continue
		}
		found := firstCell.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		if len(menu) == 0 {
			return nil, fmt.Errorf("%s: %s stands before the first heading", list, found[1])
		}
		place, _ := placeOf(filepath.ToSlash(list), found[1])
		last := &menu[len(menu)-1]
		last.Entries = append(last.Entries, entry{Address: outputOf(place), place: place})
	}
	if len(menu) == 0 {
		return nil, fmt.Errorf("%s has no tables of pages", list)
	}
	return menu, nil
}

// reference has what each command prints for -h.
type reference map[string]string

// readReference asks the commands in a folder.
func readReference(ctx context.Context, folder string) (reference, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("%w; make build", err)
	}
	all := reference{}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".exe")
		if e.IsDir() || strings.Contains(name, ".") {
			continue
		}
		path, err := filepath.Abs(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		var stderr bytes.Buffer
		command := exec.CommandContext(ctx, path, "-h")
		command.Stderr = &stderr
		output, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("%s -h: %w: %s", path, err, stderr.Bytes())
		}
		all[name] = string(output)
	}
	if len(all) == 0 {
		return nil, errors.New(folder + " has no commands; make build")
	}
	return all, nil
}

func (r reference) names() []string {
	var names []string
	for name := range r {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r reference) section() section {
	s := section{Title: "Each command's flags"}
	for _, name := range r.names() {
		s.Entries = append(s.Entries, entry{Title: name, Address: "reference/" + name + ".html"})
	}
	return s
}

// write writes a page for each command. A figure that is this machine's, the number of its cores,
// is told as such.
func (r reference) write(content string) error {
	for name, text := range r {
		page := frontMatter(name+" -h") + fmt.Sprintf("What `%s -h` prints on a machine of %d cores:\n\n"+
			"```text\n%s\n```\n", name, runtime.NumCPU(), strings.TrimRight(text, "\n"))
		if err := writeFile(filepath.Join(content, "reference", name+".md"), []byte(page)); err != nil {
			return err
		}
	}
	return nil
}
