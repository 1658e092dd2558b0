package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// pages is what a site is made of. Both are by their place below the project's folder.
type pages struct {
	texts map[string]string // Markdown
	files map[string]bool   // what these show or point to beside it
}

var (
	fence = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	link  = regexp.MustCompile(`(!?)\[((?:[^\[\]]|\[[^\]]*\](?:\([^)]*\))?)*)\]\(([^)\s]+)\)`)
	// image is what shields a picture that is a link's text.
	image = regexp.MustCompile(`!\[([^\]]*)\]\(([^)\s]+)\)`)
)

// collect reads the pages that the first ones lead to.
func collect(root string, first ...string) (*pages, error) {
	p := &pages{texts: map[string]string{}, files: map[string]bool{}}
	for queue := first; len(queue) > 0; {
		page := queue[0]
		queue = queue[1:]
		if _, known := p.texts[page]; known {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
		if err != nil {
			return nil, err
		}
		p.texts[page] = string(data)
		for _, target := range targets(string(data)) {
			place, _ := placeOf(page, target)
			if place == "" {
				continue
			}
			info, err := os.Stat(filepath.Join(root, filepath.FromSlash(place)))
			switch {
			case err != nil:
				return nil, fmt.Errorf("%s points to %s, which is not there", page, target)
			case info.IsDir():
			case path.Ext(place) == ".md":
				queue = append(queue, place)
			default:
				p.files[place] = true
			}
		}
	}
	return p, nil
}

// targets are what a page's links and pictures point to.
func targets(text string) []string {
	var all []string
	prose := fence.ReplaceAllString(text, "")
	for _, found := range append(link.FindAllStringSubmatch(prose, -1),
		image.FindAllStringSubmatch(prose, -1)...) {
		all = append(all, found[len(found)-1])
	}
	return all
}

// placeOf returns the place that a link of a page points to and the heading there; none for one
// that leads out of the project, or stays on the page.
func placeOf(page, target string) (place, anchor string) {
	place, anchor, _ = strings.Cut(target, "#")
	if place == "" || strings.Contains(place, "://") || strings.HasPrefix(place, "mailto:") {
		return "", anchor
	}
	return path.Join(path.Dir(page), place), anchor
}

// outputOf is where the site has what lies at a place: docs/ is its root, README.md its first
// page, and the rest below project/.
func outputOf(place string) string {
	switch place {
	case "README.md":
		return "index.html"
	case "docs/README.md":
		return "pages.html"
	}
	name, below := strings.CutPrefix(place, "docs/")
	if !below {
		name = "project/" + name
	}
	if base, isPage := strings.CutSuffix(name, ".md"); isPage {
		return strings.ToLower(base) + ".html"
	}
	return name
}

// rewritten is a page whose links lead to what the site has. A folder's name stays, without a
// link: a site has no listing of it.
func (p *pages) rewritten(page string) string {
	from := outputOf(page)
	change := func(found string) string {
		parts := link.FindStringSubmatch(found)
		mark, text, target := parts[1], parts[2], parts[3]
		text = image.ReplaceAllStringFunc(text, func(inner string) string {
			parts := image.FindStringSubmatch(inner)
			return fmt.Sprintf("![%s](%s)", parts[1], p.turned(page, from, parts[2]))
		})
		to := p.turned(page, from, target)
		if to == "" {
			return text
		}
		return fmt.Sprintf("%s[%s](%s)", mark, text, to)
	}
	return outsideFences(p.texts[page], func(prose string) string {
		return link.ReplaceAllStringFunc(prose, change)
	})
}

// turned is what a link of the page becomes on the site, and empty for a folder's.
func (p *pages) turned(page, from, target string) string {
	place, anchor := placeOf(page, target)
	if place == "" {
		return target
	}
	if _, isPage := p.texts[place]; !isPage && !p.files[place] {
		return ""
	}
	to, err := filepath.Rel(path.Dir(from), outputOf(place))
	if err != nil {
		return ""
	}
	to = filepath.ToSlash(to)
	if anchor != "" {
		to += "#" + anchor
	}
	return to
}

// outsideFences changes what stands outside of fenced code.
func outsideFences(text string, change func(string) string) string {
	var made strings.Builder
	at := 0
	for _, code := range fence.FindAllStringIndex(text, -1) {
		made.WriteString(change(text[at:code[0]]))
		made.WriteString(text[code[0]:code[1]])
		at = code[1]
	}
	made.WriteString(change(text[at:]))
	return made.String()
}

// title is the first heading, and the text without it.
func title(text string) (heading, rest string) {
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(line, "# "); ok {
			before, after, _ := strings.Cut(text, line)
			return strings.TrimSpace(strings.ReplaceAll(heading, "`", "")), before + after
		}
	}
	return "", text
}

// writeFile writes a file with its folders.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, fs.FileMode(0o644))
}
