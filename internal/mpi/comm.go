package mpi

// #cgo linux LDFLAGS: -ldl
// #include <stdlib.h>
// #include "mpishim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Comm is the world of the processes that a launcher started. Its methods exclude each other and
// may be called from any goroutine.
type Comm struct {
	mutex      sync.Mutex
	rank, size int
	library    Library
	broken     bool // an exchange did not come to its end
	pinner     runtime.Pinner
}

// Library is an MPI library.
type Library struct {
	// Version is the first line of what the library says of itself, ABI its binary interface: Open
	// MPI, MPICH or standard.
	Version, ABI string
}

func (l Library) String() string { return fmt.Sprintf("%s (%s ABI)", l.Version, l.ABI) }

// loaded loads a library once a process: it cannot be unloaded.
var loaded = sync.OnceValues(load)

func load() (Library, error) {
	names := libraries(os.Getenv)
	var reasons []string
	for _, name := range names {
		file := C.CString(name)
		defer C.free(unsafe.Pointer(file))
		var reason [1024]C.char
		if C.slipway_mpi_load(file, &reason[0], C.int(len(reason))) != 0 {
			text := C.GoString(&reason[0])
			if len(names) == 1 || !strings.HasPrefix(text, name+": cannot open shared object file") {
				reasons = append(reasons, text)
			}
			continue
		}
		var text [1 << 13]C.char
		C.slipway_mpi_version(&text[0])
		version, _, _ := strings.Cut(strings.TrimSpace(C.GoString(&text[0])), "\n")
		version, _, _ = strings.Cut(version, ", ") // Open MPI goes on with who built it
		version = strings.ReplaceAll(strings.Join(strings.Fields(version), " "), "Version: ", "")
		return Library{version, C.GoString(C.slipway_mpi_abi())}, nil
	}
	if len(reasons) == 0 {
		reasons = []string{"none of " + strings.Join(names, ", ") + " is found"}
	}
	return Library{}, fmt.Errorf(
		"no MPI library can be loaded: %s; install Open MPI or MPICH, or name "+
			"the library's file with %s", strings.Join(reasons, "; "), LibraryVariable)
}

// Find loads the library that Open takes, and joins nobody.
func Find() (Library, error) { return loaded() }

// Open loads a library and joins the other processes. It is called once a process, which an error
// should end: the launcher ends the others.
func Open() (*Comm, error) {
	library, err := loaded()
	if err != nil {
		return nil, err
	}
	c := &Comm{library: library}
	var enough, rank, size C.int
	if rc := C.slipway_mpi_init(&enough, &rank, &size); rc != 0 {
		return nil, c.check("MPI_Init_thread", rc)
	}
	c.rank, c.size = int(rank), int(size)
	launch := Launched(os.Getenv)
	switch {
	case enough == 0:
		return nil, fmt.Errorf("%s lacks MPI_THREAD_SERIALIZED, which a program needs whose "+
			"goroutines change their threads", library)
	case launch.Size > c.size:
		return nil, fmt.Errorf("the launcher started %d processes (%s), and %s knows of %d: it is not "+
			"the launcher's library; name that with %s", launch.Size, launch.By, library, c.size,
			LibraryVariable)
	}
	return c, nil
}

// Rank is this process's number, 0…Size−1.
func (c *Comm) Rank() int { return c.rank }

// Size is the number of processes.
func (c *Comm) Size() int { return c.size }

func (c *Comm) String() string { return c.library.String() }

func (c *Comm) check(what string, rc C.int) error {
	if rc == 0 {
		return nil
	}
	var text [1 << 10]C.char
	C.slipway_mpi_error(rc, &text[0])
	return fmt.Errorf("%s: %s", what, C.GoString(&text[0]))
}

// most is how many bytes go in a message: MPI counts them with an int.
const most = 1 << 30

// patience is how long a rank looks for its peer without rest. After that it sleeps between two
// looks, so that ranks that wait for a slow one leave it their core.
const patience = 20 * time.Millisecond

// Exchange sends from to the peer and fills to with what the peer sends at the same time, which has
// to be as long: the error of another length names both. When the context ends first it returns its
// error, and no exchange can follow.
func (c *Comm) Exchange(ctx context.Context, peer int, to, from []byte) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	// One message goes each way also where both are empty: the peer may expect another.
	for more := true; more; more = len(to) > 0 || len(from) > 0 {
		room, count := min(len(to), most), min(len(from), most)
		if err := c.message(ctx, peer, to[:room], from[:count]); err != nil {
			return err
		}
		to, from = to[room:], from[count:]
	}
	return nil
}

func (c *Comm) message(ctx context.Context, peer int, to, from []byte) error {
	if c.broken {
		return errors.New("an exchange before this one did not come to its end")
	}
	// The library keeps the places until the message is there.
	var toPlace, fromPlace unsafe.Pointer
	if len(to) > 0 {
		toPlace = unsafe.Pointer(&to[0])
		c.pinner.Pin(&to[0])
	}
	if len(from) > 0 {
		fromPlace = unsafe.Pointer(&from[0])
		c.pinner.Pin(&from[0])
	}
	c.broken = true
	rc := C.slipway_mpi_start(toPlace, C.int(len(to)), fromPlace, C.int(len(from)), C.int(peer))
	if rc != 0 {
		return c.check("MPI_Isend", rc)
	}
	began := time.Now()
	got := C.int(len(to))
	for {
		var done C.int
		if rc := C.slipway_mpi_poll(&done, &got); rc != 0 {
			return c.check("MPI_Iprobe, MPI_Irecv and MPI_Test", rc)
		}
		if int(got) != len(to) {
			return fmt.Errorf("rank %d sends %d bytes, and %d are expected", peer, got, len(to))
		}
		if done != 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			return err // what is pinned stays: the message can still come
		}
		if time.Since(began) > patience {
			time.Sleep(time.Millisecond)
		}
	}
	c.broken = false
	c.pinner.Unpin()
	return nil
}

// handOn is what a launcher is given to hand on what was printed: it may drop the rest of a job
// that it ends.
const handOn = 500 * time.Millisecond

// Abort ends all processes, this one included, with that exit status where the launcher hands it
// on.
func (c *Comm) Abort(code int) {
	time.Sleep(handOn)
	C.slipway_mpi_abort(C.int(code))
}

// Close waits for all processes to close and leaves them. A launcher ends the others when one ends
// before that. Exit then ends the process.
func (c *Comm) Close() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if err := c.check("MPI_Barrier", C.slipway_mpi_barrier()); err != nil {
		return err
	}
	return c.check("MPI_Finalize", C.slipway_mpi_finalize())
}

// Exit ends the process as os.Exit does. Where a library was used it has its turn: MPICH tells the
// launcher only then that all is well.
func Exit(code int) {
	if C.slipway_mpi_used() != 0 {
		C.exit(C.int(code))
	}
	os.Exit(code)
}
