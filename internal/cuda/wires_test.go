//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"
)

// wires join the processes of a test, by sockets in a folder that they share: what MPI does for a
// run. A rank connects to those below it when it first has something for them.
type wires struct {
	rank, size int
	folder     string
	listener   net.Listener
	to         map[int]net.Conn
}

func newWires(folder string, rank, size int) (*wires, error) {
	w := &wires{rank: rank, size: size, folder: folder, to: make(map[int]net.Conn)}
	var err error
	w.listener, err = net.Listen("unix", w.place(rank))
	return w, err
}

func (w *wires) place(rank int) string { return filepath.Join(w.folder, fmt.Sprint("rank", rank)) }

func (w *wires) Rank() int { return w.rank }
func (w *wires) Size() int { return w.size }

// with returns the connection with a peer.
func (w *wires) with(peer int) (net.Conn, error) {
	for w.to[peer] == nil && peer > w.rank {
		connection, err := w.listener.Accept()
		if err != nil {
			return nil, err
		}
		var from [1]byte
		if _, err := io.ReadFull(connection, from[:]); err != nil {
			return nil, err
		}
		w.to[int(from[0])] = connection
	}
	for began := time.Now(); w.to[peer] == nil; time.Sleep(time.Millisecond) {
		connection, err := net.Dial("unix", w.place(peer))
		if err == nil {
			w.to[peer] = connection
			_, err = connection.Write([]byte{byte(w.rank)})
		}
		if err != nil && (w.to[peer] != nil || time.Since(began) > time.Minute) {
			return nil, err
		}
	}
	return w.to[peer], nil
}

// Exchange implements train.Communicator.
func (w *wires) Exchange(ctx context.Context, peer int, to, from []byte) error {
	connection, err := w.with(peer)
	if err != nil {
		return err
	}
	if until, ok := ctx.Deadline(); ok {
		if err := connection.SetDeadline(until); err != nil {
			return err
		}
	}
	sent := make(chan error, 1)
	go func() {
		_, err := connection.Write(from)
		sent <- err
	}()
	_, err = io.ReadFull(connection, to)
	if failed := <-sent; err == nil {
		err = failed
	}
	return err
}

func (w *wires) close() {
	_ = w.listener.Close()
	for _, connection := range w.to {
		_ = connection.Close()
	}
}
