// SPDX-License-Identifier: MIT
//
// The command line of a contestant, in Go: what every peer's program
// understands, in one place. main.go says what there is to run.

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// round does n operations. It returns the nanoseconds of its timed part and
// how much was done, as counted by those who did it.
type round func(n int) (tookNs int64, done int)

// benchCase is a case of --worker. start makes what all rounds share.
type benchCase struct {
	name       string
	contestant string
	operations int
	start      func() round
}

// server is a kind of --server: it serves until the program ends. cases are
// the names of what it takes part in.
type server struct {
	kind       string
	contestant string
	serve      func() (port int)
	cases      []string
}

// memoryCase is a case of --memory: it makes count of something that stays.
type memoryCase struct {
	name       string
	contestant string
	fill       func(count int)
}

type program struct {
	version string
	cases   []benchCase
	servers []server
	memory  []memoryCase
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "FAILED: "+format+"\n", values...)
	os.Exit(1)
}

// check ends the program if something was not done.
func check(done, expected int, what string) {
	if done != expected {
		fail("%s: %d instead of %d", what, done, expected)
	}
}

// timed is the processor time of work, of all threads: where a goroutine runs
// is not the program's to say, and the collector has threads of its own.
func timed(work func()) int64 {
	began := processNs()
	work()
	return processNs() - began
}

func processNs() int64 {
	const clockProcessCputimeID = 2
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockProcessCputimeID,
		uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

// run does what the command line asks for.
func (p *program) run(arguments []string) {
	argument := func(n int) string {
		if n < len(arguments) {
			return arguments[n]
		}
		return ""
	}
	switch argument(0) {
	case "--version":
		fmt.Println(p.version)
		return
	case "--list":
		p.list()
		return
	case "--worker", "--once":
		for _, one := range p.cases {
			if one.name == argument(1) && one.contestant == argument(2) {
				if argument(0) == "--once" {
					once(one, argument(3))
				} else {
					work(one)
				}
				return
			}
		}
	case "--server":
		for _, one := range p.servers {
			wanted := argument(2) == "" || argument(2) == one.contestant
			if one.kind == argument(1) && wanted {
				fmt.Println("listening", one.serve())
				io.Copy(io.Discard, os.Stdin)
				return
			}
		}
	case "--memory":
		for _, one := range p.memory {
			if one.name == argument(1) && one.contestant == argument(3) {
				one.fill(1) // what only the first costs is not theirs
				before := residentBytes()
				one.fill(number(argument(2)))
				fmt.Println(residentBytes() - before)
				return
			}
		}
	}
	fail("nothing known as %q", arguments)
}

func (p *program) list() {
	for _, one := range p.cases {
		fmt.Println(one.name, one.contestant, one.operations, "process")
	}
	for _, one := range p.memory {
		fmt.Println(one.name, one.contestant, 0, "memory")
	}
	for _, one := range p.servers {
		for _, load := range one.cases {
			fmt.Println(load, one.contestant, 0, "server")
		}
	}
}

func number(text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n <= 0 {
		fail("not a number of operations: %q", text)
	}
	return n
}

// work answers each number on standard input with a round of so many
// operations.
func work(one benchCase) {
	do := one.start()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(do(number(lines.Text())))
	}
}

// once does so many operations and says nothing: for perf and strace.
func once(one benchCase, operations string) {
	n := number(operations)
	_, done := one.start()(n)
	check(done, n, "done")
}

// residentBytes is the resident memory of this process, garbage collected.
// smaps_rollup counts pages; the quicker files say what a sloppy counter says.
func residentBytes() int {
	runtime.GC()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		fail("%v", err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\nRss:"))
	kilobytes, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		fail("%v", err)
	}
	return kilobytes * 1024
}
