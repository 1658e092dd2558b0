package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bundle is the folder of the programs, and what of the machine they use.
type bundle struct {
	folder, scratch string
	// libraries are folders with cuDNN and cuBLAS, from Python packages.
	libraries []string
	// gpu says that training on CUDA is possible; why says why not.
	gpu bool
	why string
}

// output is what a program printed, and how it ended.
type output struct {
	// answer is its standard output, which is read; text has its standard error
	// behind that, in which libraries warn.
	answer, text string

	seconds float64
	err     error
}

// run runs a program of the bundle, or of the system if the name has no slash.
func (b *bundle) run(ctx context.Context, limit time.Duration, name string, arguments ...string) output {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if strings.Contains(name, "/") {
		name = filepath.Join(b.folder, name)
	}
	process := exec.CommandContext(ctx, name, arguments...)
	process.Dir = b.scratch
	process.WaitDelay = 5 * time.Second
	process.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(b.scratch, "cache"), "HOME="+b.scratch)
	// Python looks for the packages that a user installed below the home.
	if home, err := os.UserHomeDir(); err == nil && os.Getenv("PYTHONUSERBASE") == "" {
		process.Env = append(process.Env, "PYTHONUSERBASE="+filepath.Join(home, ".local"))
	}
	if len(b.libraries) > 0 {
		// What the caller chose comes first.
		path := append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), b.libraries...)
		process.Env = append(process.Env, "LD_LIBRARY_PATH="+strings.Join(path, string(os.PathListSeparator)))
	}
	var answer, warnings bytes.Buffer
	process.Stdout, process.Stderr = &answer, &warnings
	fmt.Println("running", strings.Join(append([]string{filepath.Base(name)}, arguments...), " "))
	began := time.Now()
	err := process.Run()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("stopped after %v: %w", limit, ctx.Err())
	}
	return output{answer.String(), answer.String() + warnings.String(), time.Since(began).Seconds(), err}
}

// findLibraries looks for the folders in which Python packages keep NVIDIA's
// libraries; the loader does not look there by itself. A cuDNN for another CUDA release
// has the same name: it is told by the cuBLAS beside it.
func (b *bundle) findLibraries(ctx context.Context) {
	found := b.run(ctx, time.Minute, "python3", "-c", "import sys; print('\\n'.join(sys.path))")
	if found.err != nil {
		return
	}
	for line := range strings.Lines(found.answer) {
		line = strings.TrimSpace(line)
		if len(packaged(line, "libcublasLt.so.13")) == 0 {
			continue
		}
		for _, file := range []string{"libcudnn.so.9", "libcublas.so.13"} {
			b.libraries = append(b.libraries, packaged(line, file)...)
		}
	}
}

// packaged lists the folders of NVIDIA's packages, in a folder of Python packages, that
// have the library.
func packaged(folder, file string) (folders []string) {
	matches, err := filepath.Glob(filepath.Join(folder, "nvidia", "*", "lib", file))
	if err != nil {
		return nil
	}
	for _, match := range matches {
		folders = append(folders, filepath.Dir(match))
	}
	return folders
}

// has reports whether the system has the program.
func has(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// lastLines are the last n lines of a text, for an error.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
