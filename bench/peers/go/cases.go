// SPDX-License-Identifier: MIT
//
// Goroutines that run soon, timers, posts and tasks.

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// batches calls one with so many of n at a time.
func batches(n, size int, one func(size int)) {
	for ; n > 0; n -= min(n, size) {
		one(min(n, size))
	}
}

// random numbers from 0 up to 1, the same each time.
type random struct{ state uint32 }

func (r *random) next() float64 {
	r.state = r.state*1664525 + 1013904223
	return float64(r.state) / (1 << 32)
}

// between is as good as random, and the same each time.
func (r *random) between(low, high time.Duration) time.Duration {
	return low + time.Duration(r.next()*float64(high-low))
}

// -- soon --------------------------------------------------------------------

// A goroutine started with `go` runs when this one lets it. The one that
// starts them goes to the end of the queue with Gosched: with `go` it would
// run before those that it has started.
func soonBatch() round {
	return func(n int) (int64, int) {
		var ran atomic.Int64
		tookNs := timed(func() {
			batches(n, 1000, func(size int) {
				for i := 0; i < size; i++ {
					go func() { ran.Add(1) }()
				}
				runtime.Gosched()
			})
			for ran.Load() < int64(n) {
				runtime.Gosched()
			}
		})
		return tookNs, int(ran.Load())
	}
}

func soonChain() round {
	return func(n int) (int64, int) {
		ran := 0
		done := make(chan struct{})
		var link func()
		link = func() {
			ran++
			if ran == n {
				close(done)
				return
			}
			go link()
		}
		tookNs := timed(func() {
			go link()
			<-done
		})
		return tookNs, ran
	}
}

// -- timers ------------------------------------------------------------------

func insertCancel(live int) func() round {
	return func() round {
		timers := make([]*time.Timer, live)
		var fired atomic.Int64
		fire := func() { fired.Add(1) }
		return func(n int) (int64, int) {
			var r random
			cancelled := 0
			tookNs := timed(func() {
				batches(n, live, func(size int) {
					for i := range timers[:size] {
						delay := r.between(time.Second, time.Minute)
						timers[i] = time.AfterFunc(delay, fire)
					}
					for _, timer := range timers[:size] {
						if timer.Stop() {
							cancelled++
						}
					}
					// Stop leaves a timer for the scheduler to sweep up.
					runtime.Gosched()
				})
			})
			check(int(fired.Load()), 0, "timers that fired though stopped")
			return tookNs, cancelled
		}
	}
}

func insertExpire(live int) func() round {
	return func() round {
		return func(n int) (int64, int) {
			var r random
			ran := 0
			tookNs := timed(func() {
				batches(n, live, func(size int) {
					var fired atomic.Int64
					done := make(chan struct{})
					fire := func() {
						if fired.Add(1) == int64(size) {
							close(done)
						}
					}
					for i := 0; i < size; i++ {
						time.AfterFunc(r.between(0, 10*time.Millisecond), fire)
					}
					<-done
					ran += int(fired.Load())
				})
			})
			return tookNs, ran
		}
	}
}

func reschedule(live int) func() round {
	return func() round {
		var r random
		var fired atomic.Int64
		timers := make([]*time.Timer, live)
		for i := range timers {
			delay := r.between(time.Hour, time.Hour+time.Minute)
			timers[i] = time.AfterFunc(delay, func() { fired.Add(1) })
		}
		next := 0
		return func(n int) (int64, int) {
			moved := 0
			tookNs := timed(func() {
				for ; n > 0; n-- {
					if timers[next].Reset(time.Hour + time.Minute) {
						moved++
					}
					if next++; next == live {
						next = 0
					}
				}
			})
			check(int(fired.Load()), 0, "timers that fired too early")
			return tookNs, moved
		}
	}
}

// -- remote ------------------------------------------------------------------

// Goroutines on threads of their own: each switch is one of threads. A second
// Go processor (GOMAXPROCS=2) makes it half as slow again on one CPU.

func remotePost() round {
	runtime.LockOSThread()
	posts := make(chan func(), 16_384)
	orders := make(chan int)
	ran := 0
	go func() {
		runtime.LockOSThread()
		for n := range orders {
			for ; n > 0; n-- {
				posts <- func() { ran++ }
			}
		}
	}()
	return func(n int) (int64, int) {
		ran = 0
		tookNs := timed(func() {
			orders <- n
			for i := 0; i < n; i++ {
				(<-posts)()
			}
		})
		return tookNs, ran
	}
}

func remotePingPong() round {
	runtime.LockOSThread()
	there := make(chan func())
	back := make(chan func())
	far, near := 0, 0
	go func() {
		runtime.LockOSThread()
		for hit := range there {
			hit()
			back <- func() { near++ }
		}
	}()
	return func(n int) (int64, int) {
		far, near = 0, 0
		tookNs := timed(func() {
			for i := 0; i < n; i++ {
				there <- func() { far++ }
				(<-back)()
			}
		})
		check(far, n, "calls on the far side")
		return tookNs, near
	}
}

// -- tasks -------------------------------------------------------------------

const tasks = 100

// share is how much of n the i-th of the tasks does.
func share(n, i int) int { return (n + tasks - 1 - i) / tasks }

func tasksYield() round {
	return func(n int) (int64, int) {
		var done [tasks]int
		tookNs := timed(func() {
			var all sync.WaitGroup
			all.Add(tasks)
			for i := range done {
				go func(i int) {
					defer all.Done()
					for left := share(n, i); left > 0; left-- {
						runtime.Gosched()
						done[i]++
					}
				}(i)
			}
			all.Wait()
		})
		sum := 0
		for _, one := range done {
			sum += one
		}
		return tookNs, sum
	}
}

// One that receives n/2 times and one that receives the rest, each of which
// sends to the other what it has received.
func tasksPingPong() round {
	return func(n int) (int64, int) {
		var hits [2]int
		sides := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
		play := func(side, times int, all *sync.WaitGroup) {
			defer all.Done()
			for ; times > 0; times-- {
				<-sides[side]
				hits[side]++
				if hits[0]+hits[1] < n {
					sides[1-side] <- struct{}{}
				}
			}
		}
		tookNs := timed(func() {
			var all sync.WaitGroup
			all.Add(2)
			go play(0, (n+1)/2, &all)
			go play(1, n/2, &all)
			sides[0] <- struct{}{}
			all.Wait()
		})
		return tookNs, hits[0] + hits[1]
	}
}

func tasksSpawnJoin() round {
	return func(n int) (int64, int) {
		var ran atomic.Int64
		tookNs := timed(func() {
			batches(n, tasks, func(size int) {
				var all sync.WaitGroup
				all.Add(size)
				for i := 0; i < size; i++ {
					go func() {
						ran.Add(1)
						all.Done()
					}()
				}
				all.Wait()
			})
		})
		return tookNs, int(ran.Load())
	}
}

func tasksSleeping(count int) {
	var started sync.WaitGroup
	started.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			started.Done()
			time.Sleep(time.Hour)
		}()
	}
	started.Wait()
	time.Sleep(10 * time.Millisecond) // until the last has gone to sleep too
}
