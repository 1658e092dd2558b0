package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed hugo.toml all:layouts static
var theme embed.FS

// frontMatter is what Hugo reads of a page before its text.
func frontMatter(title string) string {
	text, err := json.Marshal(map[string]string{"title": title})
	if err != nil {
		panic(err) // a string always has its JSON
	}
	return string(text) + "\n\n"
}

// writeSource writes what Hugo makes the site of.
func writeSource(folder string, p *pages, menu []section) error {
	err := fs.WalkDir(theme, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := theme.ReadFile(name)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(folder, filepath.FromSlash(name)), data)
	})
	if err != nil {
		return err
	}
	titles := map[string]string{}
	for place, text := range p.texts {
		heading, _ := title(text)
		if heading == "" {
			return fmt.Errorf("%s has no first heading", place)
		}
		titles[place] = heading
		_, rest := title(p.rewritten(place))
		name := strings.TrimSuffix(outputOf(place), ".html") + ".md"
		if place == "README.md" {
			name = "_index.md"
		}
		name = filepath.Join(folder, "content", filepath.FromSlash(name))
		if err := writeFile(name, []byte(frontMatter(heading)+rest)); err != nil {
			return err
		}
	}
	for place := range p.files {
		data, err := os.ReadFile(filepath.FromSlash(place))
		if err != nil {
			return err
		}
		name := filepath.Join(folder, "static", filepath.FromSlash(outputOf(place)))
		if err := writeFile(name, data); err != nil {
			return err
		}
	}
	for s := range menu {
		for e := range menu[s].Entries {
			if one := &menu[s].Entries[e]; one.place != "" {
				one.Title = titles[one.place]
			}
		}
	}
	data, err := json.MarshalIndent(menu, "", " ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(folder, "data", "menu.json"), data)
}

// made is a file by which a folder is known as a site of this program.
const made = "made-by-slipway-site"

// build has Hugo make the site in a new folder beside the output, and returns how many links it
// has, which all lead somewhere. Then it is the output. A folder that is there and not a site of
// this program stays, and so does the earlier site where the new one fails.
func build(ctx context.Context, hugo, source, output string) (links int, err error) {
	entries, err := os.ReadDir(output)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(output, made)); err != nil {
			return 0, fmt.Errorf("%s has other files: give a new folder", output)
		}
	}
	whole, err := filepath.Abs(output)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
		return 0, err
	}
	site, err := os.MkdirTemp(filepath.Dir(whole), "site-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(site)
	command := exec.CommandContext(ctx, hugo,
		"--source", source, "--destination", site, "--noBuildLock", "--panicOnWarning")
	if text, err := command.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", hugo, err, text)
	}
	if links, err = follow(site); err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(site, made), nil, 0o644); err != nil {
		return 0, err
	}
	if err := os.Chmod(site, 0o755); err != nil {
		return 0, err
	}
	if err := os.RemoveAll(whole); err != nil {
		return 0, err
	}
	return links, os.Rename(site, whole)
}

var (
	pointer = regexp.MustCompile(`<[^>]*\s(?:href|src)="?([^"\s>]+)"?`)
	anchors = regexp.MustCompile(`\sid="?([^"\s>]+)"?`)
)

// follow follows every link of the site that stays on it, headings too, and returns how many there
// are.
func follow(site string) (int, error) {
	heads := map[string]map[string]bool{}
	texts := map[string]string{}
	err := filepath.WalkDir(site, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		place, err := filepath.Rel(site, name)
		if err != nil {
			return err
		}
		place = filepath.ToSlash(place)
		heads[place] = map[string]bool{}
		if path.Ext(place) != ".html" {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		texts[place] = string(data)
		for _, found := range anchors.FindAllStringSubmatch(texts[place], -1) {
			heads[place][found[1]] = true
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	links := 0
	var lost []error
	for page, text := range texts {
		for _, found := range pointer.FindAllStringSubmatch(text, -1) {
			target := strings.ReplaceAll(found[1], "&amp;", "&")
			parsed, err := url.Parse(target)
			if err != nil {
				lost = append(lost, fmt.Errorf("%s: %s: %w", page, target, err))
				continue
			}
			if parsed.IsAbs() || parsed.Host != "" {
				continue
			}
			links++
			to := page
			if parsed.Path != "" {
				to = path.Join(path.Dir(page), parsed.Path)
			}
			switch known, ok := heads[to]; {
			case !ok:
				lost = append(lost, fmt.Errorf("%s points to %s, which is not there", page, target))
			case parsed.Fragment != "" && !known[parsed.Fragment]:
				lost = append(lost, fmt.Errorf("%s points to %s, and there is no such heading", page, target))
			}
		}
	}
	return links, errors.Join(lost...)
}
