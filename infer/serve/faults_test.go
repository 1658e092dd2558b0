package serve_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/dataset/picture"
	"slipway/infer/serve"
	"slipway/onnx"
)

// connect opens a connection to the server and sends a text.
func (s *served) connect(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// respond reads the response on a connection.
func respond(t *testing.T, conn net.Conn) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, body}
}

// wantClosed checks that the server closes a connection.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Error("the connection stays open")
		}
	}
}

const head = "POST /v2/models/small/infer HTTP/1.1\r\nHost: localhost\r\n"

// Those who send nothing, half a header or half a body are let go when their time is over; who asks
// meanwhile is answered.
func TestSlowClients(t *testing.T) {
	limits := serve.Limits{HeaderTime: 300 * time.Millisecond, BodyTime: 300 * time.Millisecond,
		IdleTime: 300 * time.Millisecond}
	s := start(t, serve.Config{Models: []string{modelFile("small")}, Limits: limits})
	var silent, halfHeader, halfBody, chunked, unread []net.Conn
	for range 20 {
		silent = append(silent, s.connect(t, ""))
		halfHeader = append(halfHeader, s.connect(t, head+"X-Slow: "))
		halfBody = append(halfBody, s.connect(t, head+"Content-Length: 1000\r\n\r\n{"))
		unread = append(unread,
			s.connect(t, "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"))
		chunked = append(chunked, s.connect(t, head+"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\""))
	}
	for range 10 {
		s.ask1(t, "small", noise(1, 1, 784))
	}
	for _, conn := range append(halfBody, chunked...) {
		respond(t, conn).wantError(t, http.StatusRequestTimeout, "did not arrive in time")
		wantClosed(t, conn)
	}
	for _, conn := range slices.Concat(silent, halfHeader, unread) {
		wantClosed(t, conn)
	}
	if refused := s.metric(t, `slipway_refused_total{limit="body_time"}`); refused != 40 {
		t.Errorf("%v are counted", refused)
	}
	// The end of the body's time is not that of the answer.
	conn := s.connect(t, "")
	body := request("image", "FP32", []int{1, 1, 28, 28}, noise(1, 1, 784))
	fmt.Fprintf(conn, head+"Content-Length: %d\r\n\r\n%s", len(body), body)
	if a := respond(t, conn); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A client that goes away in the middle, and connections whose other end is gone, leave nothing.
func TestClientsThatLeave(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}, MaxWait: 50 * time.Millisecond,
		Limits: serve.Limits{IdleTime: 200 * time.Millisecond}})
	body := request("image", "FP32", []int{1, 1, 28, 28}, noise(1, 1, 784))
	for range 20 {
		conn := s.connect(t, head+"Content-Length: 1000\r\n\r\n{")
		conn.Close()
		conn = s.connect(t, fmt.Sprintf(head+"Content-Length: %d\r\n\r\n%s", len(body), body))
		// Without a farewell, as where a machine is switched off.
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	for _, gauge := range []string{"slipway_requests_in_flight", "slipway_body_bytes"} {
		eventually(t, func() error {
			if left := s.metric(t, gauge+" "); left != 0 {
				return fmt.Errorf("%s is %v", gauge, left)
			}
			return nil
		})
	}
	// One that is kept and used no more is closed by the server.
	conn := s.connect(t, "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
	wantClosed(t, conn)
}

// A body that says it is a gigabyte is refused before any of it is read, and one that does not say
// so when it is too long; neither is held.
func TestBodiesOverTheLimit(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{Body: 1 << 20}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	conn := s.connect(t, head+"Content-Length: 1073741824\r\n\r\n")
	respond(t, conn).wantError(t, http.StatusRequestEntityTooLarge, "more than the 1 MB")
	wantClosed(t, conn)
	conn = s.connect(t, head+"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n")
	respond(t, conn).wantError(t, http.StatusRequestEntityTooLarge, "more than the 1 MB")
	conn = s.connect(t, head+"Transfer-Encoding: chunked\r\n\r\n")
	go func() {
		chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
		for {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	}()
	respond(t, conn).wantError(t, http.StatusRequestEntityTooLarge, "more than the 1 MB")
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	s.ask1(t, "small", noise(1, 1, 784))
}

// Bodies share their memory: one too many is refused, and those before are read on.
func TestBodiesShareTheirMemory(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{Body: 1 << 20, Memory: 1 << 20}})
	conn := s.connect(t, head+"Content-Length: 1000000\r\n\r\n"+strings.Repeat(" ", 900_000))
	eventually(t, func() error {
		if held := s.metric(t, "slipway_body_bytes "); held < 900_000 {
			return fmt.Errorf("%v bytes are held", held)
		}
		return nil
	})
	a := s.ask("POST", "/v2/models/small/infer", nil, bytes.Repeat([]byte(" "), 500_000))
	a.wantError(t, http.StatusServiceUnavailable, "fill the memory")
	io.WriteString(conn, strings.Repeat(" ", 100_000))
	respond(t, conn).wantError(t, http.StatusBadRequest, "no inference request")
	eventually(t, func() error {
		if held := s.metric(t, "slipway_body_bytes "); held != 0 {
			return fmt.Errorf("%v bytes are held", held)
		}
		return nil
	})
}

// The longest body that there may be is read within the memory of one, though it does not say its
// length: the space for it is no larger.
func TestTheLongestBodyFitsTheMemory(t *testing.T) {
	const most = 100_000
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{Body: most, Memory: most}})
	for length, status := range map[int]int{most: http.StatusBadRequest,
		most + 1: http.StatusRequestEntityTooLarge} {
		text := strings.Repeat(" ", length)
		conn := s.connect(t, fmt.Sprintf(head+"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
			length, text))
		if a := respond(t, conn); a.status != status {
			t.Errorf("chunked: %d bytes: %d %s", length, a.status, a.body)
		}
		if a := s.ask("POST", "/v2/models/small/infer", nil, []byte(text)); a.status != status {
			t.Errorf("%d bytes: %d %s", length, a.status, a.body)
		}
	}
}

// bomb is a PNG of few bytes that says it has that many pixels.
func bomb(width, height uint32) []byte {
	header := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	header = append(binary.BigEndian.AppendUint32(header, height), 8, 2, 0, 0, 0)
	file := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(header))
}

// Pictures and bodies that would unpack to much more than they are, are refused before that.
func TestDecompressionBombs(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{Body: 1 << 20, Pixels: 1 << 20}})
	var zeros bytes.Buffer
	w := gzip.NewWriter(&zeros)
	w.Write(make([]byte, 96<<20))
	w.Close()
	if zeros.Len() > 1<<20 {
		t.Fatalf("%d bytes", zeros.Len())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 4 {
		s.ask("POST", "/v2/models/small/classify", map[string]string{"Content-Type": "image/png"},
			bomb(60000, 60000)).wantError(t, 413, "60000×60000 pixels")
		s.ask("POST", "/v2/models/small/classify", map[string]string{"Content-Type": "image/png"},
			bomb(1000, 1000)).wantError(t, 422, "1×1000×1000")
		s.ask("POST", "/v2/models/small/classify", map[string]string{"Content-Type": "image/png"},
			bomb(28, 28)).wantError(t, 400, "PNG")
		s.ask("POST", "/v2/models/small/infer", map[string]string{"Content-Encoding": "gzip"},
			zeros.Bytes()).wantError(t, 413, "more than the 1 MB")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// longJPEG is a progressive JPEG of few bytes whose scans take long: each passes over all blocks of
// a grey picture of that many blocks a side, and says with a few bits that nothing changes.
func longJPEG(blocks, scans int) []byte {
	file := []byte{0xff, 0xd8}
	segment := func(marker byte, content ...byte) {
		file = append(file, 0xff, marker)
		file = binary.BigEndian.AppendUint16(file, uint16(len(content)+2))
		file = append(file, content...)
	}
	segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)
	side := binary.BigEndian.AppendUint16(nil, uint16(8*blocks))
	segment(0xc2, 8, side[0], side[1], side[0], side[1], 1, 1, 0x11, 0)
	// Each table has one code, the bit 0: of no difference, and of 2^14 blocks and more to pass over.
	code := append([]byte{1}, make([]byte, 15)...)
	segment(0xc4, append(append([]byte{0}, code...), 0)...)
	segment(0xc4, append(append([]byte{0x10}, code...), 0xe0)...)
	segment(0xda, 1, 1, 0, 0, 0, 0)
	file = append(file, make([]byte, (blocks*blocks+7)/8)...)
	passes := make([]byte, (15*(blocks*blocks>>14+1)+7)/8)
	for scan := range scans {
		bits := byte(0x10)
		if scan == 0 {
			bits = 0x0d
		}
		segment(0xda, 1, 1, 0, 1, 63, bits)
		file = append(file, passes...)
	}
	return append(file, 0xff, 0xd9)
}

// A picture of few bytes that takes long to decode is refused by its size where the model takes one
// size alone, and else decoded for as long as an answer may take.
func TestPicturesThatTakeLong(t *testing.T) {
	path := recorded(t, "small", onnx.TrainingRecord{Sizing: "resize 28×28 squash bilinear",
		PixelScale: 1})
	copyFile(t, path, filepath.Join(filepath.Dir(path), "any.onnx"))
	s := start(t, serve.Config{Models: []string{filepath.Join(filepath.Dir(path), "any.onnx"),
		modelFile("small")}, Limits: serve.Limits{AnswerTime: 50 * time.Millisecond}})
	kind := map[string]string{"Content-Type": "image/jpeg"}
	file := longJPEG(875, 190) // 49 million pixels
	if len(file) > 200_000 {
		t.Fatalf("%d bytes", len(file))
	}
	if _, err := picture.Decode(longJPEG(8, 190), picture.Options{}); err != nil {
		t.Fatalf("a smaller one is no picture: %v", err)
	}
	s.ask("POST", "/v2/models/small/classify", kind, file).wantError(t, 422, "1×7000×7000")
	s.ask("POST", "/v2/models/any/classify", kind, file).
		wantError(t, 504, "longer than the server's limit")
}

// Hundreds of connections, idle and asking, are served; those above the limit are closed at once.
func TestManyConnections(t *testing.T) {
	const open, limit = 300, 350
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{Connections: limit}})
	for range open {
		s.connect(t, "GET ")
	}
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() { s.ask1(t, "small", noise(1, 1, 784)) })
	}
	group.Wait()
	if connections := s.metric(t, "slipway_connections "); connections < open || connections > limit {
		t.Errorf("%v connections are open", connections)
	}
	var last net.Conn
	for range limit {
		last = s.connect(t, "")
	}
	eventually(t, func() error {
		if refused := s.metric(t, `slipway_refused_total{limit="connections"}`); refused < open {
			return fmt.Errorf("%v refusals are counted", refused)
		}
		return nil
	})
	wantClosed(t, last)
}
