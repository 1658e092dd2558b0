package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// project writes a little one, and enters it.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := writeFile(filepath.Join(folder, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestPagesLeadToWhatTheSiteHas(t *testing.T) {
	root := project(t, map[string]string{
		"README.md": "# Home\n[one](docs/one.md#a-part), [list](docs/README.md), [away](https://example.org/x.md)\n" +
			"```\n[code](docs/none.md)\n```\n",
		"docs/README.md":    "# All\n## To do\n| page | |\n| --- | --- |\n| [one.md](one.md) | it |\n",
		"docs/one.md":       "# One\n## A part\n![p](p.png) [![p](p.png)](../graphs/e1/CARD.md) [code](../a/b.go) [folder](../a/) [here](#a-part)\n",
		"docs/p.png":        "p",
		"graphs/e1/CARD.md": "# Card\n[back](../../docs/one.md)\n",
		"a/b.go":            "package b\n",
	})
	p, err := collect(root, "README.md", "docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]bool{"docs/p.png": true, "a/b.go": true}; !reflect.DeepEqual(p.files, want) {
		t.Errorf("files %v, want %v", p.files, want)
	}
	for page, want := range map[string]string{
		"README.md": "# Home\n[one](one.html#a-part), [list](pages.html), [away](https://example.org/x.md)\n" +
			"```\n[code](docs/none.md)\n```\n",
		"docs/one.md": "# One\n## A part\n![p](p.png) [![p](p.png)](project/graphs/e1/card.html) " +
			"[code](project/a/b.go) folder [here](#a-part)\n",
		"graphs/e1/CARD.md": "# Card\n[back](../../../one.html)\n",
	} {
		if got := p.rewritten(page); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", page, got, want)
		}
	}
	menu, err := readMenu(filepath.Join(root, "docs", "README.md"))
	if err != nil || len(menu) != 1 || menu[0].Title != "To do" || len(menu[0].Entries) != 1 {
		t.Errorf("the menu is %+v, %v", menu, err)
	}
}

func TestALinkToNothing(t *testing.T) {
	root := project(t, map[string]string{"README.md": "# Home\n[gone](gone.md)\n"})
	if _, err := collect(root, "README.md"); err == nil ||
		err.Error() != "README.md points to gone.md, which is not there" {
		t.Errorf("%v", err)
	}
}

func TestLinksAreFollowed(t *testing.T) {
	site := project(t, map[string]string{
		"index.html": `<h1 id="top">x</h1><a href=sub/a.html#b>a</a> <a href="#top">b</a> <img alt="" src="p.png"> <a href="https://example.org/">c</a>`,
		"sub/a.html": `<h2 id=b>b</h2><a class="x" href="../index.html#top">up</a>`,
		"p.png":      "",
	})
	if links, err := follow(site); err != nil || links != 4 {
		t.Errorf("%d links, %v", links, err)
	}
	for text, want := range map[string]string{
		`<a href="../none.html">x</a>`:         "sub/a.html points to ../none.html, which is not there",
		`<a href="../index.html#bottom">x</a>`: "there is no such heading",
	} {
		if err := os.WriteFile(filepath.Join(site, "sub", "a.html"), []byte(`<h2 id="b">b</h2>`+text),
			0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := follow(site); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// What other programs wrote is not removed.
func TestAFolderOfOthers(t *testing.T) {
	site := project(t, map[string]string{"letter.txt": "dear"})
	if _, err := build(t.Context(), "none", t.TempDir(), site); err == nil ||
		!strings.Contains(err.Error(), "give a new folder") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(site, "letter.txt")); err != nil {
		t.Error(err)
	}
}
