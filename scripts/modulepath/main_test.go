package main

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newPath is a path that nobody has.
const newPath = "example.org/you/slipway"

// program is what a user writes; PATH is the module's path.
const program = `package main

import (
	"fmt"
	"log"
	"os"

	"PATH/infer/classify"
)

func main() {
	c, err := classify.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.Labels())
}
`

// in runs a program in a folder and returns what it prints.
func in(t *testing.T, folder string, environment []string, program string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = folder
	c.Env = append(append(os.Environ(), "GOWORK=off"), environment...)
	output, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, output)
	}
	return string(output)
}

// put writes a file and the folders above it.
func put(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// checkout copies the files that git tracks into a repository of their own.
func checkout(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	files, err := tracked("../..")
	if err != nil {
		t.Skip("no checkout:", err)
	}
	for _, file := range files {
		from := filepath.Join("..", "..", file)
		info, err := os.Lstat(from)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(folder, file)
		put(t, to, text)
		if err := os.Chmod(to, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	in(t, folder, nil, "git", "init", "-q")
	in(t, folder, nil, "git", "add", "-A")
	in(t, folder, nil, "git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit",
		"-qm", "copy")
	return folder
}

// The module is set to another path: it builds, its own tests pass, and a module of a user's own
// builds with it in both ways, by a replace and by a version that a proxy has.
func TestAnotherModulePath(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a copy of the module")
	}
	folder := checkout(t)
	if said := in(t, folder, nil, filepath.Join(folder, "scripts", "set-module-path"),
		newPath); !strings.Contains(said, newPath+" now") {
		t.Errorf("it says %q", said)
	}
	for _, name := range []string{"scripts/set-module-path", "scripts/setup-onnxruntime"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode().
			Perm()&0o100 == 0 {
			t.Errorf("%s can no longer be run: %v", name, err)
		}
	}
	old := strings.TrimSpace(in(t, "../..", nil, "go", "list", "-m"))
	left := in(t, folder, nil, "sh", "-c", `git grep -nF '"`+old+`/' -- '*.go' ':!*.pb.go' || true`)
	for line := range strings.Lines(left) {
		if !strings.Contains(line, `.proto"`) { // names in the registry of protocol buffers
			t.Errorf("the old path is still there: %s", line)
		}
	}
	// Every package is compiled; one program is linked, which takes longer than compiling.
	in(t, folder, nil, "go", "list", "-export", "-f", "{{if not .Export}}{{.Name}}{{end}}", "./...")
	in(t, folder, nil, "go", "build", "-o", filepath.Join(t.TempDir(), "dataset"), "./cmd/dataset")
	in(t, folder, nil, "go", "test", "-run", "Imports|Pixels|Examples|Files", "./dataset/feed",
		"./onnx/onnxpb", "./infer/classify")

	model, err := filepath.Abs("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(folder, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mine := func(require string) string {
		own := t.TempDir()
		put(t, filepath.Join(own, "go.mod"), []byte("module example.org/mine\n\ngo 1.26.0\n\n"+require))
		put(t, filepath.Join(own, "go.sum"), sums)
		put(t, filepath.Join(own, "main.go"), []byte(strings.ReplaceAll(program, "PATH", newPath)))
		return own
	}
	// Trimmed, what is compiled does not depend on the folder that it lies in.
	flags := "GOFLAGS=-mod=mod -modcacherw -trimpath"
	own := mine("require " + newPath + " v0.0.0\n\nreplace " + newPath + " => " + folder + "\n")
	replaced := in(t, own, []string{flags, "CGO_ENABLED=0"}, "go", "run", ".", model)
	if !strings.Contains(replaced, "[0 1 2 3 4 5 6 7 8 9]") {
		t.Errorf("with a replace it says %q", replaced)
	}

	// What is in the module cache already serves the others; the usual proxy has what is not.
	cache := strings.TrimSpace(in(t, folder, nil, "go", "env", "GOMODCACHE"))
	usual := strings.TrimSpace(in(t, folder, nil, "go", "env", "GOPROXY"))
	proxy := writeProxy(t, folder)
	own = mine("require " + newPath + " v0.1.0\n")
	got := in(t, own, []string{flags, "CGO_ENABLED=0", "GOSUMDB=off", "GOMODCACHE=" + t.TempDir(),
		"GOPROXY=file://" + filepath.ToSlash(proxy) + ",file://" +
			filepath.ToSlash(filepath.Join(cache, "cache", "download")) + "," + usual},
		"go", "run", ".", model)
	if !strings.HasSuffix(got, replaced) {
		t.Errorf("from the proxy it says %q, with a replace %q", got, replaced)
	}
}

// writeProxy makes a folder that a GOPROXY may be, with version v0.1.0 of the module in the folder.
func writeProxy(t *testing.T, folder string) string {
	t.Helper()
	const version = "v0.1.0"
	files, err := tracked(folder)
	if err != nil {
		t.Fatal(err)
	}
	// A module in a folder of the module is not a part of it.
	var nested []string
	for _, file := range files {
		if dir, isModule := strings.CutSuffix(file, "/go.mod"); isModule {
			nested = append(nested, dir+"/")
		}
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, file := range files {
		if slices.ContainsFunc(nested, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		entry, err := w.Create(newPath + "@" + version + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := t.TempDir()
	versions := filepath.Join(proxy, filepath.FromSlash(newPath), "@v")
	put(t, filepath.Join(versions, "list"), []byte(version+"\n"))
	put(t, filepath.Join(versions, version+".info"),
		[]byte(`{"Version":"`+version+`","Time":"2026-01-01T00:00:00Z"}`))
	put(t, filepath.Join(versions, version+".mod"), module)
	put(t, filepath.Join(versions, version+".zip"), archive.Bytes())
	return proxy
}

// What is no path changes nothing.
func TestWrongUse(t *testing.T) {
	folder := t.TempDir()
	put(t, filepath.Join(folder, "go.mod"), []byte("module boat\n\ngo 1.26\n"))
	put(t, filepath.Join(folder, "a.go"), []byte("package a\n\nimport _ \"boat/b\"\n"))
	put(t, filepath.Join(folder, "b", "b.go"), []byte("package b\n"))
	in(t, folder, nil, "git", "init", "-q")
	in(t, folder, nil, "git", "add", "-A")
	in(t, folder, nil, "git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit",
		"-qm", "all")
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "scripts/set-module-path example.org"},
		{[]string{"a", "b"}, 2, "scripts/set-module-path example.org"},
		{[]string{"-x"}, 2, "not defined"},
		{[]string{"a//b"}, 1, "a//b"},
		{[]string{"../up"}, 1, "../up"},
		{[]string{""}, 2, "scripts/set-module-path example.org"},
	} {
		var out, errs bytes.Buffer
		code := run(test.args, folder, &out, &errs)
		if code != test.code || !strings.Contains(errs.String(), test.says) || out.Len() > 0 {
			t.Errorf("%q: exit %d, %q, %q", test.args, code, out.String(), errs.String())
		}
	}
	if text, err := os.ReadFile(filepath.Join(folder, "go.mod")); err != nil ||
		!strings.HasPrefix(string(text), "module boat\n") {
		t.Errorf("go.mod is %q (%v)", text, err)
	}
	// What is in no commit would be lost with what goes wrong.
	put(t, filepath.Join(folder, "b", "b.go"), []byte("package b // mine\n"))
	var out, errs bytes.Buffer
	if code := run([]string{"example.org/x"}, folder, &out, &errs); code != 1 ||
		!strings.Contains(errs.String(), "in no commit, such as b/b.go: commit them first") {
		t.Errorf("exit %d: %q", code, errs.String())
	}
	in(t, folder, nil, "git", "checkout", "-q", ".")
	out.Reset()
	errs.Reset()
	if code := run([]string{"example.org/x"}, folder, &out, &errs); code != 0 ||
		out.String() != "the module is example.org/x now, in 2 files\n" {
		t.Errorf("exit %d: %q, %q", code, out.String(), errs.String())
	}
	if text, err := os.ReadFile(filepath.Join(folder, "a.go")); err != nil ||
		!strings.Contains(string(text), `"example.org/x/b"`) {
		t.Errorf("a.go is %q (%v)", text, err)
	}
	in(t, folder, nil, "git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit",
		"-qam", "renamed")
	if code := run([]string{"ship"}, folder, &out, &errs); code != 0 ||
		!strings.Contains(out.String(), "begins with a domain") {
		t.Errorf("exit %d: %q", code, out.String())
	}
	if code := run([]string{"example.org/x"}, t.TempDir(), &out, &errs); code != 1 {
		t.Errorf("where there is no repository: exit %d", code)
	}
}
