package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// bundle is the folder of the programs, and what of the machine they use.
type bundle struct {
	folder, scratch string
	// libraries are folders with cuDNN and cuBLAS, from Python packages.
	libraries []string
	// gpu says that training on CUDA is possible, or that nobody knows; why says why not.
	gpu bool
	why string
}

// lastKept is how many lines of a program are kept for an error, and mostWritten how many bytes of
// what it prints go to the file.
const lastKept, mostWritten = 12, 1 << 20

// longestLine is how many bytes of a line are read at once: what is longer is several.
const longestLine = 1 << 16

// result is how a program ended.
type result struct {
	last    []string // its last lines
	seconds float64
	err     error
}

// reason is the error and the last lines, for the report.
func (r result) reason() string {
	return fmt.Sprintf("%v: %s", r.err, strings.Join(r.last[max(0, len(r.last)-3):], "; "))
}

// observed says what becomes of what a program prints, and what it gets of its own.
type observed struct {
	part        string            // the file beside the report
	see         func(line string) // nil: nobody looks
	environment []string
}

// run runs a program of the bundle, or of the system if the name has no slash. What it prints
// goes to the file of that part as it comes, line by line, and each line to who sees. Both kinds of
// output are read; a program's answer may stand among what libraries warn of.
func (c *checker) run(ctx context.Context, o observed, name string, arguments ...string) result {
	if strings.Contains(name, "/") {
		name = filepath.Join(c.folder, name)
	}
	command := strings.Join(append([]string{filepath.Base(name)}, arguments...), " ")
	fmt.Println("running", command)
	file, err := c.file(o.part)
	if err != nil {
		return result{err: err}
	}
	defer file.Close()
	fmt.Fprintln(file, "$", strings.Join(append(o.environment, command), " "))
	process := exec.CommandContext(ctx, name, arguments...)
	process.Dir = c.scratch
	process.Env = append(c.environment(), o.environment...)
	// What it started ends with it, and does not hold its output open.
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.Cancel = func() error { return syscall.Kill(-process.Process.Pid, syscall.SIGKILL) }
	process.WaitDelay = 5 * time.Second
	read, write := io.Pipe()
	process.Stdout, process.Stderr = write, write
	var r result
	var reading sync.WaitGroup
	written := 0
	reading.Go(func() {
		lines := bufio.NewReaderSize(read, longestLine)
		for {
			part, err := lines.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				err = nil // the rest is the next line
			}
			if line := string(part); line != "" {
				if written += len(line); written <= mostWritten {
					fmt.Fprintln(file, strings.TrimRight(line, "\n"))
				}
				r.last = append(r.last[max(0, len(r.last)-lastKept+1):], strings.TrimSpace(line))
				if o.see != nil {
					o.see(line)
				}
			}
			if err != nil {
				return
			}
		}
	})
	began := time.Now()
	r.err = process.Run()
	write.Close()
	reading.Wait()
	r.seconds = time.Since(began).Seconds()
	if r.err != nil && ctx.Err() != nil {
		r.err = fmt.Errorf("stopped after %.0f s: %w", r.seconds, ctx.Err())
	}
	if written > mostWritten {
		fmt.Fprintf(file, "(%d bytes, of which the first %d are here)\n", written, mostWritten)
	}
	fmt.Fprintf(file, "(%.1f s, %v)\n\n", r.seconds, ended(r.err))
	return r
}

func ended(err error) string {
	if err == nil {
		return "ended well"
	}
	return err.Error()
}

// output is what a small program prints, for those whose whole answer is asked for.
func (c *checker) output(ctx context.Context, part, name string, arguments ...string) (string,
	error) {
	var text strings.Builder
	see := func(line string) { text.WriteString(line) }
	r := c.run(ctx, observed{part: part, see: see}, name, arguments...)
	return text.String(), r.err
}

// environment is what the programs get: the scratch folder as their home, the machine's libraries.
func (b *bundle) environment() []string {
	environment := append(os.Environ(),
		"XDG_CACHE_HOME="+filepath.Join(b.scratch, "cache"), "HOME="+b.scratch)
	// Python looks for the packages that a user installed below the home.
	if home, err := os.UserHomeDir(); err == nil && os.Getenv("PYTHONUSERBASE") == "" {
		environment = append(environment, "PYTHONUSERBASE="+filepath.Join(home, ".local"))
	}
	if len(b.libraries) > 0 {
		// What the caller chose comes first.
		path := append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), b.libraries...)
		environment = append(environment,
			"LD_LIBRARY_PATH="+strings.Join(path, string(os.PathListSeparator)))
	}
	return environment
}

// findLibraries looks for the folders in which the packages of the Python that is called keep
// NVIDIA's libraries: the programs look into usual folders alone. A cuDNN for another CUDA release
// has the same name: it is told by the cuBLAS beside it.
func (c *checker) findLibraries(ctx context.Context) {
	paths, err := c.output(ctx, "machine", "python3", "-c", "import sys; print('\\n'.join(sys.path))")
	if err != nil {
		return
	}
	for line := range strings.Lines(paths) {
		line = strings.TrimSpace(line)
		if line == "" || len(packaged(line, "libcublasLt.so.13")) == 0 {
			continue
		}
		for _, file := range []string{"libcudnn.so.9", "libcublas.so.13", "libnvrtc.so.13"} {
			c.libraries = append(c.libraries, packaged(line, file)...)
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
	return err == nil || errors.Is(err, exec.ErrDot)
}
