package slipway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fence  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	target = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// pages are the documents that people read: the texts here, in docs/ and beside the graphs. The
// introduction.md of a script is a part of the page that it makes, which is among them.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "graphs/*/*.md",
		"experiments/*.md", "scripts/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slices.DeleteFunc(found, func(page string) bool {
			return filepath.Base(page) == "introduction.md"
		})...)
	}
	return all
}

// What a document points to is there.
func TestLinksOfTheDocuments(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range target.FindAllSubmatch(fence.ReplaceAll(text, nil), -1) {
			link, anchor, _ := strings.Cut(string(found[1]), "#")
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			links++
			place := page
			if link != "" {
				place = filepath.Join(filepath.Dir(page), link)
			}
			pointed, err := os.ReadFile(place)
			if info, statErr := os.Stat(place); statErr == nil && info.IsDir() {
				continue
			}
			switch {
			case err != nil:
				t.Errorf("%s points to %s, which is not there", page, found[1])
			case anchor != "" && strings.HasSuffix(place, ".md") && !hasHeading(string(pointed), anchor):
				t.Errorf("%s points to %s, and there is no such heading", page, found[1])
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links were found", links)
	}
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// hasHeading says whether a page has a heading of that anchor, as GitHub makes them.
func hasHeading(page, anchor string) bool {
	for line := range strings.Lines(page) {
		text, isHeading := strings.CutPrefix(strings.TrimLeft(strings.TrimRight(line, "\n"), "#"), " ")
		if !isHeading || !strings.HasPrefix(line, "#") {
			continue
		}
		made := strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(text)),
			""), " ", "-")
		if made == anchor {
			return true
		}
	}
	return false
}

// The list of all pages is of all pages.
func TestEachPageIsListed(t *testing.T) {
	list, err := os.ReadFile("docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range found {
		if name := filepath.Base(page); name != "README.md" &&
			!strings.Contains(string(list), "]("+name+")") {
			t.Errorf("docs/README.md does not list %s", page)
		}
	}
}
