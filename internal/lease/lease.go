// Package lease lets processes on several machines share out work through a folder that all of
// them see, also by NFS: what a name stands for is one process's at a time, and another's once that
// process is gone.
//
// An operating system's lock (package lockfile) ends with its process, but does not hold on every
// network mount, and two machines may both have it. A lease is a file that its owner touches again
// and again. Who finds one that has not changed for long, by its own clock, takes it over. Clocks
// of machines are not compared, and what is read is what was last written, since a file is opened
// anew for each look (NFS keeps its caches from close to open).
//
// Leases of a name are numbered: who takes over makes the file of the next number, which one
// process alone can do, and the highest number counts. An owner that was stopped for long sees a
// higher one when it wakes, and has lost its lease. Until it looks, two may be at work: what is
// done under a lease must bear that, as runs do that come to the same bytes.
//
// On the machine of the owner nobody waits: its file is locked, too, and where the lock can be had
// and the kernel is the one that the owner ran on, the owner is gone.
package lease

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"slipway/internal/display"
)

const (
	// DefaultBeat is how often an owner touches its file.
	DefaultBeat = 5 * time.Second
	// DefaultLost is how long a file stays as it is before its owner counts as gone.
	DefaultLost = time.Minute
)

// Folder is a folder of leases, as one process sees it.
type Folder struct {
	path       string
	beat, lost time.Duration
	boot       string

	mu   sync.Mutex
	seen map[string]sighting // of others' leases, by name
}

// sighting is what a lease looked like, and since when.
type sighting struct {
	number  int
	touched time.Time // by the owner's clock or the server's: only compared with itself
	since   time.Time // by this process's clock
}

// Open returns the folder at the path, of which nothing need be there. Durations of 0 are the
// defaults; lost must be several times beat, and the same for all processes of a folder.
func Open(path string, beat, lost time.Duration) *Folder {
	f := &Folder{path: path, beat: beat, lost: lost, boot: bootID(), seen: make(map[string]sighting)}
	if f.beat == 0 {
		f.beat = DefaultBeat
	}
	if f.lost == 0 {
		f.lost = DefaultLost
	}
	return f
}

// Owner is the process that holds a lease.
type Owner struct {
	Process int    `json:"process"`
	Host    string `json:"host"`
	// Boot tells this run of the kernel from all others; empty where it is not known, or where the
	// file is not locked.
	Boot string `json:"boot,omitempty"`
	// Token tells this lease from all others of the name, also from one of the same number that
	// was made once all were given up.
	Token string `json:"token"`
}

func (o Owner) String() string {
	if o.Process == 0 {
		return "a process that has not said which"
	}
	return fmt.Sprintf("process %d on %s", o.Process, display.Printable(o.Host))
}

// HeldError says that another process has the lease.
type HeldError struct {
	Name  string
	Owner Owner
	// Alive says that the owner has touched its lease since it was first seen here.
	Alive bool
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s is %v's", e.Name, e.Owner) }

// ErrLost says that a lease is another process's by now.
var ErrLost = errors.New("the lease was lost: another process has taken it over, since this one " +
	"was stopped for long")

// Lease is a lease that is held.
type Lease struct {
	folder string // of the name
	number int
	raw    []byte // what the file holds
	lock   *flock.Flock
	lost   chan struct{}
	once   sync.Once
	stop   chan struct{}
	beats  sync.WaitGroup
}

// attempts bounds how often Take begins again because others came or went meanwhile.
const attempts = 1000

// Take takes the lease of a name, which is a file's name. It does not wait: its error is a
// *HeldError if another process has it, or this one. Asked again and again, it takes over what
// has not changed for long.
func (f *Folder) Take(name string) (*Lease, error) {
	folder := filepath.Join(f.path, name)
	for range attempts {
		if err := os.MkdirAll(folder, 0o777); errors.Is(err, fs.ErrExist) || vanished(err) {
			continue // it was there, and was removed before MkdirAll looked what it is
		} else if err != nil {
			return nil, fmt.Errorf("lease: %w", err)
		}
		number, err := highest(folder)
		if err != nil {
			return nil, fmt.Errorf("lease of %s: %w", name, err)
		}
		var before Owner
		if number > 0 {
			owner, alive, gone, err := f.gone(name, folder, number)
			if vanished(err) {
				continue // it was given up just now
			}
			if err != nil {
				return nil, fmt.Errorf("lease of %s: %w", name, err)
			}
			if !gone {
				return nil, &HeldError{name, owner, alive}
			}
			before = owner
		}
		lease, err := f.create(folder, number+1)
		if errors.Is(err, fs.ErrExist) || vanished(err) {
			continue // another was faster, or has removed the folder
		}
		if err != nil {
			return nil, fmt.Errorf("lease of %s: %w", name, err)
		}
		if !lease.follows(number, before) {
			lease.Release() // others have come, or come and gone, since it was looked
			continue
		}
		lease.removeLower()
		f.forget(name)
		return lease, nil
	}
	return nil, fmt.Errorf("lease of %s: others came and went %d times", name, attempts)
}

func (f *Folder) forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.seen, name)
}

// vanished reports that a file or folder is gone, also one that was open on NFS.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESTALE)
}

// highest returns the highest number of the leases in a name's folder, 0 where there are none.
func highest(folder string) (int, error) {
	entries, err := os.ReadDir(folder)
	if vanished(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	most := 0
	for _, entry := range entries {
		if number, err := strconv.Atoi(entry.Name()); err == nil && number > most {
			most = number
		}
	}
	return most, nil
}

// gone reports who the owner of a lease is, whether it has touched the lease since it was first
// seen, and whether it is no more.
func (f *Folder) gone(name, folder string, number int) (owner Owner, alive, gone bool, err error) {
	path := filepath.Join(folder, strconv.Itoa(number))
	owner, touched, err := read(path)
	if err != nil {
		return Owner{}, false, false, err
	}
	if owner.Boot != "" && owner.Boot == f.boot && unlocked(path) {
		return owner, false, true, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	last, known := f.seen[name]
	if !known || last.number != number || !last.touched.Equal(touched) {
		f.seen[name] = sighting{number, touched, now}
		return owner, known, false, nil
	}
	return owner, false, now.Sub(last.since) >= f.lost, nil
}

// unlocked reports whether nobody on this machine has the file locked. An owner that gives its
// lease up removes the file before it unlocks it.
func unlocked(path string) bool {
	lock := flock.New(path, flock.SetFlag(os.O_RDWR))
	defer lock.Close()
	if held, err := lock.TryLock(); err != nil || !held {
		return false
	}
	locked, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(locked, there)
}

// create makes the lease of a number, which is there at once, locked and with its owner in it. The
// error is fs.ErrExist where it was there.
func (f *Folder) create(folder string, number int) (*Lease, error) {
	token := rand.Text()
	temporary := filepath.Join(folder, ".new-"+token)
	// Others may be other users.
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	defer os.Remove(temporary)
	if err := file.Close(); err != nil {
		return nil, err
	}
	lock := flock.New(temporary, flock.SetFlag(os.O_RDWR))
	owner := Owner{Process: os.Getpid(), Host: hostname(), Token: token}
	if held, err := lock.TryLock(); err == nil && held {
		owner.Boot = f.boot
	}
	raw, err := json.Marshal(owner)
	raw = append(raw, '\n')
	if err == nil {
		err = os.WriteFile(temporary, raw, 0o666)
	}
	if err == nil {
		err = os.Link(temporary, filepath.Join(folder, strconv.Itoa(number)))
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) {
			err = fmt.Errorf("the folder's file system has no hard links, by which a lease is made "+
				"at once: %w", err)
		}
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	l := &Lease{
		folder: folder, number: number, raw: raw, lock: lock,
		lost: make(chan struct{}), stop: make(chan struct{}),
	}
	l.beats.Go(func() { l.touch(f.beat) })
	return l, nil
}

// follows reports whether the lease is the highest, and what it took over, if anything, is still
// there: otherwise another has taken that over, too, and perhaps given it up.
func (l *Lease) follows(number int, before Owner) bool {
	if l.Check() != nil {
		return false
	}
	if number == 0 {
		return true
	}
	owner, _, err := read(filepath.Join(l.folder, strconv.Itoa(number)))
	return err == nil && owner == before
}

// removeLower removes the leases of owners that are gone.
func (l *Lease) removeLower() {
	for lower := range l.number {
		_ = os.Remove(filepath.Join(l.folder, strconv.Itoa(lower)))
	}
}

// read returns whose lease a file is, and when it was touched. Of what another program has written
// it is nobody's.
func read(path string) (owner Owner, touched time.Time, err error) {
	file, err := os.Open(path)
	if err != nil {
		return Owner{}, time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Owner{}, time.Time{}, err
	}
	if raw, err := io.ReadAll(io.LimitReader(file, 1<<12)); err == nil {
		_ = json.Unmarshal(raw, &owner)
	}
	return owner, info.ModTime(), nil
}

func hostname() string {
	if host, err := os.Hostname(); err == nil {
		return host
	}
	return "another machine"
}

func (l *Lease) path() string { return filepath.Join(l.folder, strconv.Itoa(l.number)) }

// touch tells others that the owner is there, until the lease is given up or lost.
func (l *Lease) touch(beat time.Duration) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
		}
		if l.Check() != nil {
			return
		}
		// A time alone needs no room on the disk. One that could not be set is set at the next beat.
		now := time.Now()
		_ = os.Chtimes(l.path(), now, now)
	}
}

// Check returns ErrLost if the lease is another process's by now.
func (l *Lease) Check() error {
	number, err := highest(l.folder)
	// What cannot be read now says nothing.
	another := err == nil && number != l.number
	if err == nil && !another {
		raw, err := os.ReadFile(l.path())
		another = vanished(err) || err == nil && !bytes.Equal(raw, l.raw)
	}
	if another {
		l.once.Do(func() { close(l.lost) })
	}
	select {
	case <-l.lost:
		return ErrLost
	default:
		return nil
	}
}

// Lost is closed once the lease is known to be another process's.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Context returns a context that ends with the given one, with the lease, or by its function, which
// must be called.
func (l *Lease) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-l.lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// Release gives the lease up.
func (l *Lease) Release() {
	close(l.stop)
	l.beats.Wait()
	if l.Check() == nil {
		// What is left where that fails is taken over once it has not changed for long.
		_ = os.Remove(l.path())
	}
	_ = l.lock.Close()
	// Where nobody else has something in it: nor this process an open file, which NFS keeps under
	// another name.
	_ = os.Remove(l.folder)
}
