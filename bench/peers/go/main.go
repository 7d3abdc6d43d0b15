// SPDX-License-Identifier: MIT
//
// Go: a goroutine is both the callback and the task, the channel both the post
// and the wake, and the runtime the loop. One thread at a time runs Go code
// (GOMAXPROCS=1), as in a program of one loop.

package main

import (
	"os"
	"runtime"
	"strings"
	"time"
)

// idle is the timeout of a pair in the pipe chain.
const idle = 10 * time.Second

// echoLoads are what every echo server takes part in.
var echoLoads = []string{
	"echo/64_c1", "echo/64_c64", "echo/64_c64_p16", "echo/64_c1000",
	"echo/16384_c64", "echo/16384_c1000", "echo/102400_c64",
}

func main() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	p := program{
		version: strings.Replace(runtime.Version(), "go", "go ", 1),
		cases: []benchCase{
			{"soon/batch_1000", "go", 200_000, soonBatch},
			{"soon/chain_1", "go", 200_000, soonChain},
			{"timers/insert_cancel_10000", "go", 100_000, insertCancel(10_000)},
			{"timers/insert_cancel_100000", "go", 100_000, insertCancel(100_000)},
			{"timers/insert_expire_10000", "go", 50_000, insertExpire(10_000)},
			{"timers/insert_expire_100000", "go", 100_000, insertExpire(100_000)},
			{"timers/reschedule_10000", "go", 500_000, reschedule(10_000)},
			{"timers/reschedule_100000", "go", 500_000, reschedule(100_000)},
			{"remote/post_1", "go", 300_000, remotePost},
			{"remote/ping_pong", "go", 2_000, remotePingPong},
			{"tasks/yield_100", "go", 500_000, tasksYield},
			{"tasks/ping_pong", "go", 200_000, tasksPingPong},
			{"tasks/spawn_join_100", "go", 200_000, tasksSpawnJoin},
			{"pipe_chain/1000_1", "go", 10_000, pipeChain(1_000, 1, forever)},
			{"pipe_chain/1000_100", "go", 10_000, pipeChain(1_000, 100, forever)},
			{"pipe_chain/9900_1", "go", 10_000, pipeChain(9_900, 1, forever)},
			{"pipe_chain/9900_100", "go", 10_000, pipeChain(9_900, 100, forever)},
			{"pipe_chain/1000_1_idle", "go", 10_000, pipeChain(1_000, 1, idle)},
			{"pipe_chain/1000_100_idle", "go", 10_000, pipeChain(1_000, 100, idle)},
			{"pipe_chain/9900_1_idle", "go", 10_000, pipeChain(9_900, 1, idle)},
			{"pipe_chain/9900_100_idle", "go", 10_000, pipeChain(9_900, 100, idle)},
		},
		servers: []server{
			{"echo", "go", listen(echo), append(echoLoads, "idle/10000")},
			// Not idle/10000: each io.Copy holds a pipe, two descriptors more.
			{"echo", "go_copy", listen(echoByCopy), echoLoads},
			{"accept", "go", listen(greet), []string{"accept/c1"}},
		},
		memory: []memoryCase{{"tasks/sleeping", "go", tasksSleeping}},
	}
	p.run(os.Args[1:])
}
