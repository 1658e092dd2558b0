package main

import (
	"path"
	"strings"
)

// rewritten reports whether a file says the module's path as a path, and not as a record or as the
// name of something else.
func rewritten(file string) bool {
	switch {
	case strings.HasSuffix(file, ".pb.go"), strings.HasSuffix(file, ".proto"),
		strings.HasPrefix(file, "scripts/generate-"):
		// Names in the registry of protocol buffers, and their lengths, are part of the code.
		return false
	case strings.Contains("/"+file, "/testdata/"):
		return false
	case file == "CHANGELOG.md", file == "docs/dist.md", strings.HasPrefix(file, "docs/bench/"):
		return false // what was, and what was seen
	}
	switch path.Ext(file) {
	case "", ".go", ".mod", ".md", ".txt", ".sh", ".yml", ".yaml", ".s":
		return true
	}
	return false
}

// packagesOf returns the folders that hold Go files, and those above them.
func packagesOf(files []string) map[string]bool {
	packages := make(map[string]bool)
	for _, file := range files {
		if path.Ext(file) != ".go" {
			continue
		}
		for folder := path.Dir(file); folder != "." && !packages[folder]; folder = path.Dir(folder) {
			packages[folder] = true
		}
	}
	return packages
}

// rewriter puts one module path in the place of another.
type rewriter struct {
	old, path string
	packages  map[string]bool // relative to the module
}

// rewrite returns the text with the new path wherever the old one stands for the module or for a
// package of it. A folder or a program that is called as the module stays.
func (r *rewriter) rewrite(text string) string {
	var out strings.Builder
	for {
		at := strings.Index(text, r.old)
		if at < 0 {
			out.WriteString(text)
			return out.String()
		}
		before, rest := text[:at], text[at+len(r.old):]
		out.WriteString(before)
		if !endsInPath(before) && r.names(before, rest) {
			out.WriteString(r.path)
		} else {
			out.WriteString(r.old)
		}
		text = rest
	}
}

// names reports whether the old path between the two texts names the module or a package.
func (r *rewriter) names(before, rest string) bool {
	if !strings.HasPrefix(rest, "/") {
		return namesModule(before, rest)
	}
	end := strings.IndexFunc(rest, func(c rune) bool { return c != '/' && !inPath(c) })
	if end < 0 {
		end = len(rest)
	}
	within := strings.TrimSuffix(rest[1:end], "/...")
	if within == "" { // the beginning of all packages' paths, in a string of its own
		return strings.HasPrefix(rest, `/"`) && strings.HasSuffix(before, `"`)
	}
	within = strings.Trim(within, "/.") // a sentence may end there
	if r.packages[within] {
		return true
	}
	// boat/onnx.Model is of the package boat/onnx, boat/onnx.go is a file.
	folder, last := path.Split(within)
	name, symbol, dotted := strings.Cut(last, ".")
	return dotted && symbol != "" && 'A' <= symbol[0] && symbol[0] <= 'Z' && r.packages[folder+name]
}

// namesModule reports whether a word is the module's path: in a go.mod, and where a version is
// asked for.
func namesModule(before, rest string) bool {
	if strings.HasPrefix(rest, "@v") || strings.HasPrefix(rest, "@latest") {
		return true
	}
	if rest != "" && inPath([]rune(rest[:1])[0]) {
		return false // a longer word
	}
	for _, word := range []string{"module ", "require ", "replace "} {
		line := before[strings.LastIndexAny(before, "\n")+1:]
		start := strings.TrimSuffix(line, word)
		// Behind nothing, a flag's dash, or what opens a string or begins a line in one.
		if start != line && (start == "" || strings.HasSuffix(start, "-") ||
			strings.HasSuffix(start, `"`) || strings.HasSuffix(start, `\n`) ||
			strings.HasSuffix(start, "\t")) {
			return true
		}
	}
	return false
}

// endsInPath reports whether a text ends within a path or a word.
func endsInPath(text string) bool {
	if text == "" {
		return false
	}
	last := rune(text[len(text)-1])
	return last == '/' || last == '~' || last == '$' || last == '\\' || inPath(last)
}

// inPath reports whether a character may be part of a path's element.
func inPath(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '_' || c == '-' || c == '.'
}
