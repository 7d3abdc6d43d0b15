// SPDX-License-Identifier: MIT
//
// Servers, a goroutine a connection, and the pipe chain, a goroutine a pair.

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// -- servers -----------------------------------------------------------------

// listen serves each connection in a goroutine of its own. TCP_NODELAY is on
// by default.
func listen(serve func(net.Conn)) func() int {
	return func() int {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fail("%v", err)
		}
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					fail("%v", err)
				}
				go serve(connection)
			}
		}()
		return listener.Addr().(*net.TCPAddr).Port
	}
}

func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 64*1024)
	for {
		size, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:size]); err != nil {
			return
		}
	}
}

// echoByCopy is the echo server of the net package's documentation. Between
// two TCP sockets io.Copy is splice(2).
func echoByCopy(connection net.Conn) {
	io.Copy(connection, connection)
	connection.Close()
}

func greet(connection net.Conn) {
	connection.Write([]byte("x"))
	connection.Close()
}

// -- pipe chain --------------------------------------------------------------

// forever is no idle timeout.
const forever = 0

// pipeChain: a goroutine waits for each pair's reader, at most idle, and writes
// what it got into the next pair.
func pipeChain(count, active int, idle time.Duration) func() round {
	return func() round {
		readers := make([]*os.File, count)
		writers := make([]*os.File, count)
		for i := range readers {
			ends, err := syscall.Socketpair(syscall.AF_UNIX,
				syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				fail("socketpair: %v (ulimit -n?)", err)
			}
			readers[i] = os.NewFile(uintptr(ends[0]), "reader")
			writers[i] = os.NewFile(uintptr(ends[1]), "writer")
		}

		var toRead, toWrite, events, timeouts atomic.Int64
		done := make(chan struct{})
		send := func(i, bytes int) {
			for ; bytes > 0 && toWrite.Add(-1) >= 0; bytes-- {
				if _, err := writers[i%count].Write([]byte{'x'}); err != nil {
					fail("write: %v", err)
				}
			}
		}
		relay := func(i int) {
			var buffer [1]byte
			for {
				if idle != forever {
					readers[i].SetReadDeadline(time.Now().Add(idle))
				}
				size, err := readers[i].Read(buffer[:])
				if errors.Is(err, os.ErrDeadlineExceeded) {
					timeouts.Add(1)
					continue
				}
				if err != nil {
					fail("read: %v", err)
				}
				events.Add(int64(size))
				send(i+1, size)
				if toRead.Add(-int64(size)) == 0 {
					done <- struct{}{}
				}
			}
		}
		for i := range readers {
			go relay(i)
		}
		return func(n int) (int64, int) {
			events.Store(0)
			toRead.Store(int64(n))
			toWrite.Store(int64(n))
			for i := 0; i < active; i++ {
				send(i*(count/active), 1)
			}
			before := timeouts.Load()
			tookNs := timed(func() { <-done })
			check(int(timeouts.Load()-before), 0, "idle timeouts")
			return tookNs, int(events.Load())
		}
	}
}
