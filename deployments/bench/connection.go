package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// connection is one HTTP/1.1 connection that is kept. It does less than net/http's client, so that on a machine that it
// shares with what it measures it takes a small part of the time: it writes bytes that are ready and reads the status
// and the body.
type connection struct {
	conn   net.Conn
	reader *bufio.Reader
	body   []byte
}

// answerTimeout bounds each answer, so that a server that hangs fails the run.
const answerTimeout = 30 * time.Second

func dial(ctx context.Context, addr string) (*connection, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &connection{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10)}, nil
}

var errAnswer = errors.New("the answer is not understood")

// do sends a request and returns the status; the body is in c.body until the next request.
func (c *connection) do(request []byte) (int, error) {
	if err := c.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("%w: %q", errAnswer, line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, fmt.Errorf("%w: %q", errAnswer, line)
	}
	length, chunked := 0, false
	for {
		if line, err = c.line(); err != nil {
			return 0, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, fmt.Errorf("%w: %q", errAnswer, line)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	c.body = c.body[:0]
	if !chunked {
		return status, c.read(length)
	}
	for {
		if line, err = c.line(); err != nil {
			return 0, err
		}
		size, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil {
			return 0, fmt.Errorf("%w: %q", errAnswer, line)
		}
		if err := c.read(int(size)); err != nil {
			return 0, err
		}
		if _, err := c.line(); err != nil {
			return 0, err
		}
		if size == 0 {
			return status, nil
		}
	}
}

func (c *connection) line() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (c *connection) read(n int) error {
	from := len(c.body)
	c.body = append(c.body, make([]byte, n)...)
	if _, err := io.ReadFull(c.reader, c.body[from:]); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// get and post are requests, ready to be sent.
func get(path, token string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + token + "\r\n\r\n")
}

func post(path, token, body string) []byte {
	var b strings.Builder
	b.Grow(len(body) + len(token) + 200)
	b.WriteString("POST " + path + " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
	b.WriteString(body)
	return []byte(b.String())
}
