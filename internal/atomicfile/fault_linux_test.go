package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperEnv makes the test binary act as the process that is to fail.
const helperEnv = "ATOMICFILE_TEST_HELPER"

func TestMain(m *testing.M) {
	mode, path, ok := strings.Cut(os.Getenv(helperEnv), " ")
	if !ok {
		os.Exit(m.Run())
	}
	if err := helper(mode, path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func helper(mode, path string) error {
	switch mode {
	case "size-limit":
		limit := syscall.Rlimit{Cur: 1 << 16, Max: 1 << 16}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		return WriteBytes(path, make([]byte, 1<<20))
	case "stall":
		return Write(path, func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
			fmt.Println("half way")
			time.Sleep(time.Minute)
			return nil
		})
	case "write":
		return WriteBytes(path, []byte("new"))
	}
	return fmt.Errorf("unknown helper %q", mode)
}

func helperCommand(t *testing.T, mode, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+mode+" "+path)
	return cmd
}

func TestWriteBeyondTheFileSizeLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	if err := WriteBytes(path, []byte("previous")); err != nil {
		t.Fatal(err)
	}
	out, err := helperCommand(t, "size-limit", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), syscall.EFBIG.Error()) {
		t.Errorf("the process ended with %v and said %q, want %q", err, out, syscall.EFBIG)
	}
	wantOnly(t, path, "previous")
}

func TestWriteOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skip("no right to mount a small file system:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "checkpoint")
	if err := WriteBytes(path, []byte("previous")); err != nil {
		t.Fatal(err)
	}
	err := WriteBytes(path, make([]byte, 1<<20))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want %q and the file's name", err, syscall.ENOSPC)
	}
	wantOnly(t, path, "previous")
}

func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "checkpoint")
	if err := WriteBytes(path, []byte("previous")); err != nil {
		t.Fatal(err)
	}
	cmd := helperCommand(t, "stall", path)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "half way\n" {
		t.Errorf("the process said %q (%v)", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended well although it was killed")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "previous" {
		t.Errorf("the file holds %q (%v), want the previous content", got, err)
	}
	if n, err := RemoveStale(path, 0); n != 1 || err != nil {
		t.Errorf("RemoveStale = %d, %v, want the one temporary removed", n, err)
	}
	wantOnly(t, path, "previous")
}

func TestWriteIntoAnUnwritableFolder(t *testing.T) {
	// Root writes anywhere, so the attempt is made as another user from a
	// folder that this user can reach.
	dir, err := os.MkdirTemp("", "atomicfile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "checkpoint")
	if err := os.WriteFile(path, []byte("previous"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })

	err = nil
	if os.Getuid() != 0 {
		err = WriteBytes(path, []byte("new"))
	} else {
		binary := filepath.Join(dir, "..", filepath.Base(dir)+".test")
		copyFile(t, os.Args[0], binary)
		t.Cleanup(func() { os.Remove(binary) })
		cmd := helperCommand(t, "write", path)
		cmd.Path = binary
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, runErr := cmd.CombinedOutput()
		if runErr != nil {
			err = errors.New(string(out))
		}
		var exit *exec.ExitError
		if runErr != nil && !errors.As(runErr, &exit) {
			t.Skip("cannot start a process as another user:", runErr)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "cannot write into the folder") {
		t.Errorf("error %v, want one about the folder", err)
	}
	wantOnly(t, path, "previous")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}
