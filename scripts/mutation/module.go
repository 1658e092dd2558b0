package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// library is the folder of the onnxruntime library, which tests find below the module.
const library = ".cache/onnxruntime"

// copyModule copies what git has of the module, and does not ignore, and the library: a mutant
// may delete what it finds.
func copyModule(root, to string) error {
	names, err := git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	files := strings.Split(strings.TrimRight(names, "\x00"), "\x00")
	add := func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(root, name)
		files = append(files, relative)
		return err
	}
	err = filepath.WalkDir(filepath.Join(root, library), add)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("mutation: %w", err)
	}
	for _, name := range files {
		if err := copyFile(filepath.Join(root, name), filepath.Join(to, name)); err != nil {
			return fmt.Errorf("mutation: %w", err)
		}
	}
	return nil
}

// copyFile copies a file, or what a link leads to; one that was deleted is none.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || info.IsDir() {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func git(root string, words ...string) (string, error) {
	command := exec.Command("git", words...)
	command.Dir, command.Stderr = root, os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("mutation: git %s: %w", words[0], err)
	}
	return strings.TrimSuffix(string(output), "\n"), nil
}

// cpu is the processor's name.
func cpu() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if name, found := strings.CutPrefix(line, "model name"); found {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}
