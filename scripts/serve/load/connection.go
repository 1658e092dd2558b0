package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// A connection asks a server the same thing again and again. The request is made once, and written
// in one go: whoever asks has the server's cores, and is to take little of them.
type connection struct {
	host    string
	request []byte
	conn    net.Conn // nil before the first request, and after a server has ended it
	reader  *bufio.Reader
}

// connect makes the request of the options' URL.
func (o *options) connect(body []byte) (*connection, error) {
	target, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	if target.Scheme != "http" || target.Port() == "" {
		return nil, fmt.Errorf("%s: http://HOST:PORT/PATH is wanted", o.url)
	}
	request, err := http.NewRequest(http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	if o.raw {
		request.Header.Set("Inference-Header-Content-Length", "0")
	}
	var written bytes.Buffer
	if err := request.Write(&written); err != nil {
		return nil, err
	}
	return &connection{host: target.Host, request: written.Bytes()}, nil
}

// ask sends the request and waits for the answer, which must be a success.
func (c *connection) ask() error {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.host)
		if err != nil {
			return err
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	_, wrote := c.conn.Write(c.request)
	// A server may answer, and end the connection, before it has read all.
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.close()
		return errors.Join(wrote, err)
	}
	text, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil || response.Close || wrote != nil {
		c.close()
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", response.Status, text)
	}
	return err
}

// close ends the connection; the next request makes another.
func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close() // the server's answer is here, or is not wanted
		c.conn = nil
	}
}
