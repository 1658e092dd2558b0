package study

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/lease"
	"slipway/train"
)

// A test process that is told of a study runs it.
func TestMain(m *testing.M) {
	path, root := os.Getenv("STUDY_FILE"), os.Getenv("STUDY_ROOT")
	if path == "" {
		os.Exit(m.Run())
	}
	file, err := ReadFile(path)
	if err == nil {
		_, err = Execute(context.Background(), file,
			Options{Root: root, Parallel: 1, Progress: new(counter)})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

const sharedStudy = "grid: {dropout: [0, 0.1, 0.3], l1: [0, 0.001]}\nfixed: {epochs: 2}\nseeds: 2\nevaluate: {robustness: [brightness]}\n"

// poolFiles are what runs have come to: all files of the pool that do not say when and where.
func poolFiles(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(filepath.Join(root, poolFolder),
		func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			raw, err := os.ReadFile(path)
			switch filepath.Base(name) {
			case ResultFile, HistoryFile, "config.json": // times, places
				raw = nil
			}
			files[name] = raw
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameFiles(t *testing.T, what string, got, want map[string][]byte) {
	t.Helper()
	for name, content := range want {
		if other, there := got[name]; !there || !bytes.Equal(other, content) {
			t.Errorf("%s: %s is not as in the sequential run (there: %v)", what, name, there)
		}
	}
	for name := range got {
		if _, wanted := want[name]; !wanted {
			t.Errorf("%s: %s is not in the sequential run", what, name)
		}
	}
}

// Two at once in a folder train each run once, and both return what one alone comes to, to the
// byte.
func TestSeveralShareAStudy(t *testing.T) {
	file := readStudy(t, "s", sharedStudy)
	alone := t.TempDir()
	want, _ := execute(t, file, alone, 1)
	root := t.TempDir()
	var all sync.WaitGroup
	counts, results := make([]*counter, 3), make([][]Result, 3)
	for i := range counts {
		counts[i] = new(counter)
		all.Go(func() {
			var err error
			results[i], err = Execute(t.Context(), file,
				Options{Root: root, Parallel: 2, Progress: counts[i]})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	began := 0
	for i, count := range counts {
		began += count.began
		if got := table(results[i]); got != table(want) {
			t.Errorf("process %d returns\n%s, want\n%s", i, got, table(want))
		}
	}
	if began != len(want) {
		t.Errorf("%d runs were trained, there are %d", began, len(want))
	}
	sameFiles(t, "three at once", poolFiles(t, root), poolFiles(t, alone))
}

// Parts are all runs, each once, and nobody waits for another's.
func TestPartsOfAStudy(t *testing.T) {
	file := readStudy(t, "s", sharedStudy)
	alone, root := t.TempDir(), t.TempDir()
	want, _ := execute(t, file, alone, 2)
	var ids []string
	for i := 5; i >= 1; i-- {
		count := new(counter)
		results, err := Execute(t.Context(), file, Options{Root: root, Part: Part{i, 5}, Parallel: 2,
			Progress: count})
		if err != nil {
			t.Fatal(err)
		}
		if count.began != len(results) || len(results) < 2 || len(results) > 3 {
			t.Errorf("part %d of 5 trained %d runs, and returns %d of 12", i, count.began, len(results))
		}
		for _, r := range results {
			ids = append(ids, r.ID)
			if len(r.Robustness) != 1 {
				t.Errorf("run %s of part %d has the corruptions %v", r.ID, i, r.Robustness)
			}
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(want) {
		t.Errorf("%d runs are in parts, of %d", len(ids), len(want))
	}
	results, count := execute(t, file, root, 2)
	if count.began != 0 || table(results) != table(want) {
		t.Errorf("after all parts %d runs were trained; results\n%s, want\n%s", count.began,
			table(results), table(want))
	}
	sameFiles(t, "five parts", poolFiles(t, root), poolFiles(t, alone))
}

func TestPartsThatThereAreNot(t *testing.T) {
	for _, text := range []string{"", "1", "0/3", "4/3", "-1/3", "1/0", "a/b", "1/2/3", "1/1000000000",
		"1.5/3", "/", " 1/2"} {
		if part, err := ParsePart(text); err == nil || !strings.Contains(err.Error(), "give I/N") {
			t.Errorf("%q is %v, %v", text, part, err)
		}
	}
	if part, err := ParsePart("2/8"); err != nil || part != (Part{2, 8}) || part.String() != "2/8" {
		t.Errorf("2/8 is %v, %v", part, err)
	}
}

// A search is one process's, and has no parts.
func TestASearchIsOnes(t *testing.T) {
	root := t.TempDir()
	file := readStudy(t, "s",
		"search: {trials: 2, space: {l1: {log: [0.001, 0.1]}}}\nfixed: {epochs: 1, validation_fraction: 0.1}\n")
	if _, err := Execute(t.Context(), file,
		Options{Root: root, Part: Part{1, 2}, Progress: new(counter)}); err == nil ||
		!strings.Contains(err.Error(), "in one process; run it without a part") {
		t.Errorf("a part of a search: %v", err)
	}
	claim, err := lease.Open(filepath.Join(root, "s"), 0, 0).Take(searchClaim)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Execute(t.Context(), file, Options{Root: root, Progress: new(counter)}); err == nil ||
		!strings.Contains(err.Error(), "another experiment run searches in") {
		t.Errorf("a second search: %v", err)
	}
	claim.Release()
	if results, _ := execute(t, file, root, 1); len(results) != 2 {
		t.Errorf("%d results", len(results))
	}
}

// Processes that are killed again and again leave claims and checkpoints; others go on with them,
// and come to the bytes of a run that nothing broke.
func TestKilledProcessesAreTakenOver(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for seconds in several processes")
	}
	if _, err := os.Stat("/proc/sys/kernel/random/boot_id"); err != nil {
		t.Skip("this system does not tell one run of its kernel from another: a claim is taken over after a minute")
	}
	const text = "grid: {dropout: [0, 0.2]}\nfixed: {epochs: 150}\n"
	file := readStudy(t, "s", text)
	alone, root := t.TempDir(), t.TempDir()
	want, _ := execute(t, file, alone, 2)
	for kill := range 6 {
		process := exec.Command(os.Args[0])
		process.Env = append(os.Environ(), "STUDY_FILE="+file.Path, "STUDY_ROOT="+root)
		var output bytes.Buffer
		process.Stdout, process.Stderr = &output, &output
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(150+70*kill) * time.Millisecond)
		if err := process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		_ = process.Wait()
		if output.Len() > 0 {
			t.Fatalf("process %d: %s", kill, output.String())
		}
	}
	results, count := execute(t, file, root, 2)
	if table(results) != table(want) {
		t.Errorf("results\n%s, want\n%s", table(results), table(want))
	}
	t.Logf("after six kills the last process began %d of 2 runs, at epochs %v", count.began,
		count.goneOn)
	sameFiles(t, "after six kills", poolFiles(t, root), poolFiles(t, alone))
}

// A claim that another machine's process holds is waited for, and its result taken when it is
// there.
func TestOthersRunsAreWaitedFor(t *testing.T) {
	file := readStudy(t, "s", "grid: {dropout: [0, 0.2]}\nfixed: {epochs: 1}\n")
	alone, root := t.TempDir(), t.TempDir()
	want, _ := execute(t, file, alone, 1)
	id := want[0].ID
	claim := filepath.Join(root, poolFolder, claimsFolder, id, "1")
	if err := os.MkdirAll(filepath.Dir(claim), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(claim, []byte(`{"process": 7, "host": "elsewhere", "token": "x"}`),
		0o666); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	var mutex sync.Mutex
	done := make(chan error, 1)
	count := new(counter)
	go func() {
		_, err := Execute(t.Context(), file, Options{Root: root, Parallel: 1, Progress: count,
			Messages: func(line string) {
				mutex.Lock()
				defer mutex.Unlock()
				said.WriteString(line)
				if strings.Contains(line, "waiting") { // now the other machine finishes it
					if err := os.CopyFS(filepath.Join(root, poolFolder, id),
						os.DirFS(filepath.Join(alone, poolFolder, id))); err != nil {
						t.Error(err)
					}
				}
			}})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for ever")
	}
	if !strings.Contains(said.String(), "waiting for the run ") ||
		!strings.Contains(said.String(), "process 7 on elsewhere") || count.began != 1 {
		t.Errorf("it trained %d runs and said %q", count.began, said.String())
	}
	results, err := Read(filepath.Join(root, "s"))
	if err != nil || table(results) != table(want) {
		t.Errorf("%v: %s", err, table(results))
	}
}

// A run whose owner goes is taken over, also where one before it in the order is another's for
// long.
func TestNobodyWaitsBehindALongRun(t *testing.T) {
	file := readStudy(t, "s", "grid: {dropout: [0, 0.1, 0.2]}\nfixed: {epochs: 1}\n")
	alone, root := t.TempDir(), t.TempDir()
	want, _ := execute(t, file, alone, 1)
	pool := filepath.Join(root, poolFolder)
	claims := lease.Open(filepath.Join(pool, claimsFolder), 0, 0)
	long, err := claims.Take(want[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	short, err := claims.Take(want[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	count := new(counter)
	done := make(chan error, 1)
	go func() {
		_, err := Execute(t.Context(), file, Options{Root: root, Parallel: 1, Progress: count})
		done <- err
	}()
	time.Sleep(300 * time.Millisecond)
	short.Release()
	result := filepath.Join(pool, want[1].ID, ResultFile)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(result); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the run that was given up is not taken over while another one's goes on")
		}
	}
	if err := os.CopyFS(filepath.Join(pool, want[0].ID),
		os.DirFS(filepath.Join(alone, poolFolder, want[0].ID))); err != nil {
		t.Fatal(err)
	}
	long.Release()
	if err := <-done; err != nil || count.began != 2 {
		t.Errorf("%d runs were trained: %v", count.began, err)
	}
}

// A run that is lost, because its claim is gone, is taken up again, or its result taken; the table
// on a terminal bears that it begins twice.
func TestALostRunIsTakenUpAgain(t *testing.T) {
	file := readStudy(t, "s", "grid: {dropout: [0, 0.2]}\nfixed: {epochs: 6}\n")
	alone, root := t.TempDir(), t.TempDir()
	want, _ := execute(t, file, alone, 1)
	var screen bytes.Buffer
	reporter := NewReporter(&screen, true, 24, 80)
	once := false
	progress := &losing{Reporter: reporter, onEpoch: func() {
		if !once {
			once = true
			if err := os.RemoveAll(filepath.Join(root, poolFolder, claimsFolder)); err != nil {
				t.Error(err)
			}
		}
	}}
	results, err := Execute(t.Context(), file, Options{Root: root, Parallel: 2, Progress: progress})
	reporter.Close()
	if err != nil || table(results) != table(want) {
		t.Errorf("%v: results\n%s, want\n%s", err, table(results), table(want))
	}
}

// losing is a reporter that does something at each epoch.
type losing struct {
	*Reporter
	onEpoch func()
}

func (l *losing) Epoch(index int, epoch train.Epoch) {
	l.onEpoch()
	l.Reporter.Epoch(index, epoch)
}

// A search whose owner, on another machine, does nothing is waited for until that is long enough,
// and not refused for ever; the wait ends with the context.
func TestASilentSearchIsWaitedFor(t *testing.T) {
	root := t.TempDir()
	file := readStudy(t, "s",
		"search: {trials: 2, space: {l1: {log: [0.001, 0.1]}}}\nfixed: {epochs: 1, validation_fraction: 0.1}\n")
	claim := filepath.Join(root, "s", searchClaim, "1")
	if err := os.MkdirAll(filepath.Dir(claim), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(claim, []byte(`{"process": 7, "host": "elsewhere", "token": "x"}`),
		0o666); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithTimeout(t.Context(), look+time.Second)
	defer end()
	if _, err := Execute(ctx, file, Options{Root: root, Progress: new(counter)}); !errors.Is(err,
		ErrInterrupted) {
		t.Errorf("error %v, want ErrInterrupted", err)
	}
}
