package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// A pkg is a package of the module with its types.
type pkg struct {
	folder  string // below the module, with slashes
	name    string
	fset    *token.FileSet
	sources []*source
	info    types.Info
	types   *types.Package
}

// A source is one of a package's Go files that is no test.
type source struct {
	name   string // below the module, with slashes
	text   []byte
	syntax *ast.File
}

// load reads the package in a folder of the module, as it is built on this machine.
func load(ctx context.Context, module, folder string) (*pkg, error) {
	type listed struct {
		ImportPath, Name, Dir, Export string
		GoFiles, CgoFiles             []string
	}
	list := exec.CommandContext(ctx, "go", "list", "-export", "-deps",
		"-json=ImportPath,Name,Dir,Export,GoFiles,CgoFiles", "./"+folder)
	list.Dir, list.Stderr = module, os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("mutation: go list ./%s: %w", folder, err)
	}
	exports := map[string]string{}
	var last listed // the package itself comes after all that it stands on
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var entry listed
		if err := decoder.Decode(&entry); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("mutation: the answer of go list ./%s: %w", folder, err)
		}
		exports[entry.ImportPath], last = entry.Export, entry
	}
	p := &pkg{folder: folder, name: last.Name, fset: token.NewFileSet()}
	var files []*ast.File
	for _, name := range append(last.GoFiles, last.CgoFiles...) {
		text, err := os.ReadFile(filepath.Join(last.Dir, name))
		if err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		s := &source{name: path.Join(folder, name), text: text}
		s.syntax, err = parser.ParseFile(p.fset, s.name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		p.sources, files = append(p.sources, s), append(files, s.syntax)
	}
	config := types.Config{FakeImportC: true, Importer: importer.ForCompiler(p.fset, "gc",
		func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })}
	p.info = types.Info{Types: map[ast.Expr]types.TypeAndValue{},
		Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	if p.types, err = config.Check(last.ImportPath, p.fset, files, &p.info); err != nil {
		return nil, fmt.Errorf("mutation: %w", err)
	}
	return p, nil
}
