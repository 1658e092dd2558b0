//go:build gpu && linux && amd64

package nccl

// #include "ncclshim.h"
import "C"

import (
	"errors"
	"unsafe"
)

// ID tells ranks that belong together from others. One rank makes it, and tells the others by
// whatever joins them.
type ID [C.SLIPWAY_NCCL_ID]byte

// NewID returns the ID of ranks that are to be joined.
func NewID() (ID, error) {
	var id ID
	if _, err := Find(); err != nil {
		return id, err
	}
	err := check("ncclGetUniqueId", C.slipway_nccl_id((*C.char)(unsafe.Pointer(&id[0]))))
	return id, err
}

// Comm joins this process's GPU with those of other ranks. Its methods are called on one thread, on
// which the GPU's context is current. None is called after Close or Abort.
type Comm struct{ handle unsafe.Pointer }

// Join joins the GPU whose context is current with those of the other ranks, of which there are
// size, this one included. It waits for them: all call it, each with a GPU of its own.
func Join(id ID, rank, size int) (*Comm, error) {
	if _, err := Find(); err != nil {
		return nil, err
	}
	c := new(Comm)
	err := check("ncclCommInitRank", C.slipway_nccl_join(&c.handle,
		(*C.char)(unsafe.Pointer(&id[0])), C.int(rank), C.int(size)))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Message is what a rank sends to a peer and receives from it at the same time, of one length.
type Message struct {
	Peer int
	// Send and Receive are addresses of device memory.
	Send, Receive uintptr
	// Count is of float32 values, or of bytes.
	Count int
	Bytes bool
}

// most is how many messages an exchange has.
const most = 4

// Exchange puts messages into a stream, a CUstream, all of them under way at the same time. It does
// not wait for them. What fails later, AsyncError says.
func (c *Comm) Exchange(stream unsafe.Pointer, messages ...Message) error {
	if len(messages) > most {
		return errors.New("an exchange of more messages than there is room for")
	}
	var all [most]C.struct_slipway_nccl_message
	for i, m := range messages {
		kind := C.int(C.SLIPWAY_NCCL_FLOAT32)
		if m.Bytes {
			kind = C.SLIPWAY_NCCL_UINT8
		}
		all[i] = C.struct_slipway_nccl_message{peer: C.int(m.Peer), _type: kind,
			send: C.uintptr_t(m.Send), receive: C.uintptr_t(m.Receive), count: C.size_t(m.Count)}
	}
	return check("ncclSend, ncclRecv and ncclGroupEnd",
		C.slipway_nccl_exchange(c.handle, stream, &all[0], C.int(len(messages))))
}

// AsyncError returns what has failed of exchanges that are in a stream, nil if nothing has that is
// known. A stream that has such may never come to its end: Abort ends it.
func (c *Comm) AsyncError() error {
	var code C.int
	err := check("ncclCommGetAsyncError", C.slipway_nccl_async_error(c.handle, &code))
	if err != nil {
		return err
	}
	const inProgress = 7
	if code == inProgress {
		return nil
	}
	return check("an exchange that was under way", code)
}

// Abort ends what is under way, in whatever state, and frees the communicator.
func (c *Comm) Abort() error {
	handle := c.handle
	c.handle = nil
	return check("ncclCommAbort", C.slipway_nccl_abort(handle))
}

// Close frees the communicator, whose exchanges have ended, and whose CUDA graphs are destroyed. It
// may wait for the other ranks, which close theirs.
func (c *Comm) Close() error {
	handle := c.handle
	c.handle = nil
	return check("ncclCommDestroy", C.slipway_nccl_destroy(handle))
}
