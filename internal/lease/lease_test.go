package lease

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A test process that is told a folder takes the lease "run" there, says so, and holds it.
func TestMain(m *testing.M) {
	if folder := os.Getenv("LEASE_FOLDER"); folder != "" {
		lease, err := Open(folder, beat, lost).Take("run")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("taken")
		<-lease.Lost()
		fmt.Println("lost")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A busy machine may stop an owner for a second.
const beat, lost = 20 * time.Millisecond, 3 * time.Second

func take(t *testing.T, f *Folder, name string) *Lease {
	t.Helper()
	lease, err := f.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func held(t *testing.T, f *Folder, name string) *HeldError {
	t.Helper()
	lease, err := f.Take(name)
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("took %v, error %v; it is another's", lease, err)
	}
	return held
}

func TestALeaseIsOnes(t *testing.T) {
	dir := t.TempDir()
	one, other := Open(dir, beat, lost), Open(dir, beat, lost)
	lease := take(t, one, "run")
	if says := held(t, other, "run").
		Error(); !strings.Contains(says, fmt.Sprint("run is process ", os.Getpid())) {
		t.Errorf("%s", says)
	}
	held(t, one, "run")
	take(t, other, "another").Release()
	// It stays while its owner is there, however long that is.
	for end := time.Now().Add(3 * lost / 2); time.Now().Before(end); time.Sleep(beat) {
		held(t, other, "run")
	}
	if !held(t, other, "run").Alive {
		time.Sleep(5 * beat)
		if !held(t, other, "run").Alive {
			t.Error("its owner touches it, and is not said to be alive")
		}
	}
	if lease.Check() != nil {
		t.Error("it is lost")
	}
	lease.Release()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	take(t, other, "run").Release()
}

// Many ask at once, and each in turn has it alone.
func TestOnlyOneAtATime(t *testing.T) {
	dir := t.TempDir()
	var inside, rounds atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			f := Open(dir, beat, time.Minute)
			for rounds.Load() < 200 {
				lease, err := f.Take("run")
				var held *HeldError
				if errors.As(err, &held) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have it", n)
				}
				rounds.Add(1)
				inside.Add(-1)
				lease.Release()
			}
		})
	}
	all.Wait()
}

// owned makes the lease of an owner elsewhere, which is not there.
func owned(t *testing.T, dir string, number int) string {
	t.Helper()
	path := filepath.Join(dir, "run", fmt.Sprint(number))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path,
		[]byte(`{"process": 7, "host": "elsewhere", "boot": "another", "token": "x"}`),
		0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// What does not change for long is taken over, also by one of many alone; what is touched is not.
func TestWhatDoesNotChangeIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	path := owned(t, dir, 3)
	f := Open(dir, beat, lost)
	for end := time.Now().Add(3 * lost / 2); time.Now().Before(end); time.Sleep(beat) {
		if owner := held(t, f, "run").Owner; owner.Host != "elsewhere" {
			t.Fatalf("the owner is %v", owner)
		}
		now := time.Now().Add(-time.Hour) // another machine's clock
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
	}
	var winners atomic.Int32
	var all sync.WaitGroup
	leases := make(chan *Lease, 8)
	start := time.Now()
	for range cap(leases) {
		all.Go(func() {
			f := Open(dir, beat, lost)
			for time.Since(start) < 3*lost {
				if lease, err := f.Take("run"); err == nil {
					winners.Add(1)
					leases <- lease
					return
				}
				time.Sleep(beat)
			}
		})
	}
	all.Wait()
	if winners.Load() != 1 {
		t.Fatalf("%d took it over", winners.Load())
	}
	if early := time.Since(start); early < lost {
		t.Errorf("it was taken over after %v", early)
	}
	lease := <-leases
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old lease is there: %v", err)
	}
	lease.Release()
}

// An owner that finds a higher number, another's file, or none, has lost its lease and leaves
// others' alone.
func TestALostLease(t *testing.T) {
	for name, happens := range map[string]func(dir string) error{
		"a higher number": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "2"), nil, 0o666)
		},
		"another's of the number": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "1"), []byte("another's"), 0o666)
		},
		"none": func(dir string) error { return os.Remove(filepath.Join(dir, "1")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lease := take(t, Open(dir, beat, lost), "run")
			if err := happens(filepath.Join(dir, "run")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-lease.Lost():
			case <-time.After(10 * time.Second):
				t.Fatal("it does not notice")
			}
			if !errors.Is(lease.Check(), ErrLost) {
				t.Error("Check knows nothing")
			}
			before, err := os.ReadDir(filepath.Join(dir, "run"))
			if err != nil {
				t.Fatal(err)
			}
			lease.Release()
			after, err := os.ReadDir(filepath.Join(dir, "run"))
			if errors.Is(err, os.ErrNotExist) && len(before) == 0 {
				return
			}
			if err != nil || len(after) != len(before) {
				t.Errorf("it removed others' files: %v, %v before", after, before)
			}
		})
	}
}

// owner is another process that holds the lease.
func owner(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), "LEASE_FOLDER="+dir)
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	lines := bufio.NewScanner(output)
	if !lines.Scan() || lines.Text() != "taken" {
		t.Fatalf("the other process says %q", lines.Text())
	}
	return process, lines
}

func TestFoldersThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := Open(path, 0, 0).Take("run"); err == nil || errors.As(err, &held) {
		t.Errorf("error %v", err)
	}
}
