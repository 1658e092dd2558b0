package builder_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"slipway/builder"
)

var update = flag.Bool("update", false,
	"write the table of docs/networks.md again, from the layers' comments")

const (
	networksPage = "../docs/networks.md"
	tableBegins  = "<!-- made by go test ./builder -run TestTheTableOfLayers -update -->\n"
	tableEnds    = "<!-- end -->"
)

// The page's table of layers is their own comments.
func TestTheTableOfLayers(t *testing.T) {
	page, err := os.ReadFile(networksPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !ok || !ends {
		t.Fatalf("%s has no table between %s and %s", networksPage, tableBegins, tableEnds)
	}
	made := before + tableBegins + tableOfLayers(t) + tableEnds + after
	if *update {
		if err := os.WriteFile(networksPage, []byte(made), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if made != string(page) {
		t.Errorf(
			"the table of %s is not what the layers' comments say; make it again: go test ./builder -run TestTheTableOfLayers -update",
			networksPage)
	}
}

// tableOfLayers has a line for each layer, and one for each of its fields beside the name.
func tableOfLayers(t *testing.T) string {
	t.Helper()
	structs := layerStructs(t)
	var table strings.Builder
	table.WriteString("\n| layer | field | value | what it is |\n| --- | --- | --- | --- |\n")
	for _, layer := range builder.Registered() {
		kind := reflect.TypeOf(layer)
		source, ok := structs[kind.Name()]
		if !ok {
			t.Fatalf("no comment of %s was found", kind)
		}
		synopsis := new(doc.Package).Synopsis(source.comment)
		if synopsis == "" {
			t.Errorf("%s has no comment", kind)
		}
		fmt.Fprintf(&table, "| **%s** | | | %s |\n", layer.Kind(), about(synopsis, layer.Kind()))
		for i := range kind.NumField() {
			field := kind.Field(i)
			if field.Name == "Name" {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			comment := about(source.fields[field.Name], field.Name)
			if comment == "" {
				t.Errorf("%s.%s has no comment", kind, field.Name)
			}
			fmt.Fprintf(&table, "| | `%s` | %s | %s |\n", name, valueOf(t, field.Type), comment)
		}
	}
	return table.String() + "\n"
}

func valueOf(t *testing.T, field reflect.Type) string {
	t.Helper()
	if field == reflect.TypeFor[builder.Size]() {
		return "size"
	}
	if field == reflect.TypeFor[builder.Initial]() {
		return "initialiser"
	}
	switch field.Kind() {
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	}
	t.Errorf("the page has no word for a %s", field)
	return ""
}

// about is a comment without the name that it begins with.
func about(text, name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(cell(text), name+" "), "is ")
}

func cell(text string) string {
	return strings.ReplaceAll(
		strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimSpace(text), ":")), " "), "|", `\|`)
}

type layerSource struct {
	comment string
	fields  map[string]string
}

// layerStructs reads the comments of the package's structs.
func layerStructs(t *testing.T) map[string]layerSource {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs := make(map[string]layerSource)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			types, ok := declaration.(*ast.GenDecl)
			if !ok || types.Tok != token.TYPE || len(types.Specs) != 1 {
				continue
			}
			spec := types.Specs[0].(*ast.TypeSpec)
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			source := layerSource{comment: types.Doc.Text(), fields: make(map[string]string)}
			for _, field := range body.Fields.List {
				for _, name := range field.Names {
					source.fields[name.Name] = field.Doc.Text() + field.Comment.Text()
				}
			}
			structs[spec.Name.Name] = source
		}
	}
	return structs
}

var block = regexp.MustCompile("(?s)```(yaml|json)\n(.*?)```")

// Every network on the pages is read.
func TestTheNetworksOfThePages(t *testing.T) {
	read := 0
	for _, path := range []string{networksPage, "../docs/add-a-layer.md", "../docs/your-own-set.md"} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range block.FindAllSubmatch(page, -1) {
			if !bytes.Contains(found[2], []byte("layers")) {
				continue
			}
			read++
			if _, err := builder.ParseNetwork(found[2], Swish{}); err != nil {
				t.Errorf("%s: %v in\n%s", path, err, found[2])
			}
		}
	}
	if read < 4 {
		t.Errorf("%d networks were found; the pages have 4", read)
	}
}
