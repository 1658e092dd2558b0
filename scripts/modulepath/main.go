// Command modulepath gives the module that it lies in another path: scripts/set-module-path calls
// it.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway/internal/atomicfile"
)

const usage = `set-module-path writes another module path into go.mod, into every import, and into scripts, tests
and documents where they name the module or one of its packages.

  scripts/set-module-path example.org/you/slipway
  scripts/set-module-path github.com/you/slipway && go build ./...

It changes files that git tracks. Generated files, whose protocol buffers have names
of their own, and records of what was seen stay as they are: CHANGELOG.md, docs/dist.md.

Exit status: 0 the path is set; 1 a failure; 2 wrong usage.
`

func main() { os.Exit(run(os.Args[1:], ".", os.Stdout, os.Stderr)) }

// run is main without the process, for the module in a folder.
func run(args []string, folder string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("set-module-path", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() != 1 || flags.Arg(0) == "":
		flags.Usage()
		return 2
	}
	path := flags.Arg(0)
	changed, err := setPath(folder, path)
	if err != nil {
		fmt.Fprintf(stderr, "set-module-path: %v\n", err)
		return 1
	}
	fmt.Fprintf(stdout, "the module is %s now, in %d files\n", path, changed)
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		fmt.Fprintf(stdout, "note: go get takes a path that begins with a domain alone; "+
			"%s has none\n", path)
	}
	return 0
}

// setPath gives the module in the folder another path and returns how many files say it.
func setPath(folder, path string) (changed int, err error) {
	files, err := tracked(folder)
	if err != nil {
		return 0, err
	}
	// What fails in the middle is brought back by git, with nothing else that was changed.
	changes, err := command(folder, "git", "diff", "--name-only", "HEAD")
	if err != nil {
		return 0, err
	}
	if changes = strings.TrimSpace(changes); changes != "" {
		return 0, fmt.Errorf("files have changes that are in no commit, such as %s: commit them first",
			strings.SplitN(changes, "\n", 2)[0])
	}
	old, err := command(folder, "go", "list", "-m")
	if err != nil {
		return 0, err
	}
	// go mod edit refuses what is no module path.
	if _, err := command(folder, "go", "mod", "edit", "-print", "-module", path); err != nil {
		return 0, err
	}
	r := &rewriter{old: strings.TrimSpace(old), path: path, packages: packagesOf(files)}
	texts := make(map[string][]byte)
	for _, file := range files {
		if !rewritten(file) {
			continue
		}
		name := filepath.Join(folder, filepath.FromSlash(file))
		info, err := os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) { // deleted, and git does not know yet
			continue
		}
		if err != nil {
			return 0, err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue // no text
		}
		if now := r.rewrite(string(text)); now != string(text) {
			texts[name] = []byte(now)
		}
	}
	// Each is replaced whole; what fails then is told with what to do.
	for name, text := range texts {
		if err := replace(name, text); err != nil {
			return 0, fmt.Errorf("%w; `git checkout .` brings the files back that were changed "+
				"before it", err)
		}
	}
	return len(texts), nil
}

// replace writes a file anew that stays as executable as it was.
func replace(name string, text []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(name, text); err != nil {
		return err
	}
	return os.Chmod(name, info.Mode().Perm())
}

// tracked lists the files that git tracks in the folder, with slashes.
func tracked(folder string) ([]string, error) {
	list, err := command(folder, "git", "ls-files", "-z")
	if err != nil {
		return nil, err
	}
	files := strings.Split(strings.TrimSuffix(list, "\x00"), "\x00")
	if len(files) == 1 && files[0] == "" {
		return nil, fmt.Errorf("git tracks no files in %s", folder)
	}
	return files, nil
}

// command runs a program in the folder and returns what it prints.
func command(folder, program string, args ...string) (string, error) {
	c := exec.Command(program, args...)
	c.Dir = folder
	c.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	output, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err,
			strings.TrimSpace(stderr.String()))
	}
	return string(output), nil
}
