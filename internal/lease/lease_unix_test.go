//go:build unix

package lease

import (
	"syscall"
	"testing"
	"time"
)

// On one machine a killed owner's lease is had at once. One that was stopped loses it after a time,
// and sees that when it wakes.
func TestOwnersThatAreKilledOrStopped(t *testing.T) {
	if bootID() == "" {
		t.Skip("this system does not tell one run of its kernel from another")
	}
	dir := t.TempDir()
	long := Open(dir, beat, time.Hour)
	killed, _ := owner(t, dir)
	held(t, long, "run")
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	take(t, long, "run").Release()

	stopped, says := owner(t, dir)
	if err := stopped.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f := Open(dir, beat, lost)
	var lease *Lease
	for end := time.Now().Add(10 * lost); lease == nil && time.Now().Before(end); time.Sleep(beat) {
		lease, _ = f.Take("run")
	}
	if lease == nil {
		t.Fatal("the lease of a process that was stopped cannot be had")
	}
	if err := stopped.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !says.Scan() || says.Text() != "lost" {
		t.Errorf("the process that was stopped says %q", says.Text())
	}
	if lease.Check() != nil {
		t.Error("it took the lease back")
	}
	lease.Release()
}
