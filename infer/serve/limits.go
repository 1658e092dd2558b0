package serve

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slipway/internal/display"
)

// A budget is a number of bytes, or of anything, that many share.
type budget struct {
	most int64
	used atomic.Int64
}

// take reports whether there were n left, and takes them then.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.most {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// A bodyReader reads the bodies of requests within the limits.
type bodyReader struct {
	limits Limits
	memory *budget
	// spaces are of keptBytes each, for bodies to come: what many small tensors take would else be
	// most of what the garbage collector has to do.
	spaces sync.Pool
}

// firstBytes is what is held of a body before it has sent anything: a length that a client says
// is no reason to allocate it. One that is longer, by what it says, has keptBytes then, which go
// round.
const (
	firstBytes = 32 << 10
	keptBytes  = 256 << 10
)

// space returns empty space of keptBytes for a body; keep takes it back.
func (b *bodyReader) space() []byte {
	if kept, ok := b.spaces.Get().(*[keptBytes]byte); ok {
		return kept[:0]
	}
	return new([keptBytes]byte)[:0]
}

// keep takes back the space of a body, if it is of those that go round.
func (b *bodyReader) keep(body []byte) {
	if cap(body) == keptBytes {
		b.spaces.Put((*[keptBytes]byte)(body[:keptBytes]))
	}
}

// read returns a request's body, unpacked. done gives its memory back: nothing may point into the
// body then. The client has Limits.BodyTime for it.
func (b *bodyReader) read(
	w http.ResponseWriter, r *http.Request,
) (body []byte, done func(), err error) {
	if r.ContentLength > b.limits.Body {
		w.Header().Set("Connection", "close")
		return nil, nil, b.tooLarge()
	}
	control := http.NewResponseController(w)
	// Where the connection has no deadlines, as a test's recorder, there is nobody to wait for.
	if err := control.SetReadDeadline(time.Now().Add(b.limits.BodyTime)); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		return nil, nil, err
	}
	body, done, err = b.unpack(r)
	if err != nil {
		// What is left of the body is not read, so that no other request can follow on this
		// connection; the deadline stays for the little that the server still passes over.
		w.Header().Set("Connection", "close")
		return nil, nil, err
	}
	// The server reads on while the request is answered, to see whether the client is there:
	// that has no deadline but the answer's own.
	if err := control.SetReadDeadline(time.Time{}); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		done()
		return nil, nil, err
	}
	return body, done, nil
}

func (b *bodyReader) unpack(r *http.Request) (body []byte, done func(), err error) {
	reader, packed := io.Reader(r.Body), false
	switch coding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); coding {
	case "", "identity":
	case "gzip":
		packed = true
		if reader, err = gzip.NewReader(r.Body); err != nil {
			return nil, nil, unreadable(err, packed)
		}
	case "deflate":
		packed = true
		if reader, err = zlib.NewReader(r.Body); err != nil {
			return nil, nil, unreadable(err, packed)
		}
	default:
		return nil, nil, refuse(http.StatusUnsupportedMediaType,
			"the Content-Encoding %q is not offered: gzip and deflate are", shorten(coding))
	}
	held := int64(0)
	give := func() {
		b.memory.give(held)
		b.keep(body)
	}
	goesRound := !packed && r.ContentLength >= firstBytes && b.limits.Body >= keptBytes
	if goesRound && b.memory.take(keptBytes) {
		body, held = b.space(), keptBytes
	}
	var beyond [1]byte
	// The space grows with what has come, twice as large each time.
	for {
		if len(body) == cap(body) && int64(len(body)) < b.limits.Body {
			more := max(firstBytes, int64(cap(body)))
			if r.ContentLength >= 0 && !packed {
				// A byte more than it says shows where it ends.
				more = min(more, r.ContentLength+1-int64(len(body)))
			}
			if more <= 0 {
				more = firstBytes
			}
			more = min(more, b.limits.Body-int64(len(body)))
			if !b.memory.take(more) {
				give()
				return nil, nil, overloaded("memory",
					"the bodies of other requests fill the memory that they may take; try again")
			}
			held += more
			smaller := body
			body = append(make([]byte, 0, int64(cap(body))+more), body...)
			b.keep(smaller)
		}
		space := body[len(body):cap(body)]
		if len(space) == 0 {
			space = beyond[:] // a byte more than a body may have shows that it is too long
		}
		n, err := reader.Read(space)
		if int64(len(body)+n) > b.limits.Body {
			give()
			return nil, nil, b.tooLarge()
		}
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, give, nil
		case err != nil:
			give()
			return nil, nil, unreadable(err, packed)
		}
	}
}

func (b *bodyReader) tooLarge() error {
	return &problem{http.StatusRequestEntityTooLarge, "the body has more than the " +
		display.Bytes(b.limits.Body) + " that a request may have", "body"}
}

// unreadable says why a body could not be read.
func unreadable(err error, packed bool) error {
	var timeout net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return &problem{http.StatusRequestTimeout, "the body did not arrive in time", "body_time"}
	case packed && !errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest("the body is not packed as its Content-Encoding says, or is damaged")
	}
	return badRequest("the body ends early")
}

// A limitedListener closes connections above a number at once: those that wait for a place
// would look to their clients like a server that hangs.
type limitedListener struct {
	net.Listener
	open    *budget
	refused func()
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.take(1) {
			return &countedConn{Conn: conn, open: l.open}, nil
		}
		l.refused()
		_ = conn.Close() // there is nobody to be told that it could not be closed
	}
}

type countedConn struct {
	net.Conn
	open *budget
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.give(1) })
	return c.Conn.Close()
}
