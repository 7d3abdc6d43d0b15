// SPDX-License-Identifier: MIT
//
// How other threads reach a sleeping loop: reactor/remote_queue.cc and the
// lines of reactor/event_loop.cc that use it, step by step. FAULTS H1, H2.
//
// Two threads post and a signal handler reports signals (in external_work.pml
// a third thread ends external work). The loop's thread runs passes, sleeps and wakes, stands still for a while (an outer loop may wait
// for the eventfd meanwhile), runs again, and at some moment closes the queue.
// One line here is one step that other threads can come between; what stands
// in an atomic block is one instruction there (a lock, an exchange, a system
// call). spin tries every order of these steps. In each it must hold that
//
//   (1) the loop never sleeps for ever while something waits for it, a post or
//       a signal, nor does an outer loop (look for `timeout` below); and it
//       never does believing in external work that there is none of any more,
//   (2) a post is accepted and then runs or is destroyed by close(), exactly
//       once, or it is refused,
//   (3) what one thread posts runs in the order posted,
//   (4) each time the loop lies down to sleep, at most one thread takes it
//       upon itself to wake it: one write to the eventfd (signals not
//       counted),
//   (5) nobody writes to the eventfd once it is closed,
//   (6) nobody is stuck.
//
// The memory model is a plain one: every thread sees every store at once.
// That is what sequential consistency gives to pending_ and sleeping_ where
// the two meet, and the mutex to the rest. CHECK_BEFORE_ANNOUNCE is what a
// weaker order could make of prepare_sleep().
//
// Each mutant below breaks one step, as people do, and spin must find out:
//
/* mutant: DRAIN_AFTER_COLLECT    reads the eventfd after what it announced */
/* mutant: NO_RECHECK             sleeps without a last look at pending_ */
/* mutant: CHECK_BEFORE_ANNOUNCE  looks at pending_, then sets sleeping_ */
/* mutant: CLEAR_AFTER_UNLOCK     take() clears pending_ outside the lock */
/* mutant: WAKE_BEFORE_POST       writes first, then appends */
/* mutant: WAKE_ALWAYS            no sleeping_: a write for each batch */
/* mutant: CLOSE_IN_TWO_STEPS     takes what is there, then closes */
/* mutant: CHECK_THEN_POST        looks at closed_ outside the lock: janus #2,
                                  anyio #1265, CPython GH-96827 */
/* mutant: CLOSE_AT_ONCE          close() does not wait for late threads */
/* mutant: COUNT_AFTER_UNLOCK     a thread counts as late when it is too late */
/* mutant: LEAVE_ASLEEP           left() does not wake for what nobody took */
//
// (Draining late loses signals only. A lost write of post() is made good by
// the look at pending_ in prepare_sleep(): the two are each other's net.)

#ifndef POSTERS
#define POSTERS 2
#define POSTS 2    /* by each */
#define WORKERS 0  /* that end the external work */
#define SIGNALS 1
#define OTHERS 1   /* sleeps that a timer or a descriptor ends */
#define RUNS 2     /* of the loop */
#endif

// -- RemoteQueue -------------------------------------------------------------

bit mutex;
bit closed;    /* under mutex */
chan incoming = [POSTERS * POSTS] of { byte, byte };  /* likewise: who, which */
bit pending;
bit sleeping = 1;
byte eventfd;      /* its counter; more than zero is readable */
bit eventfd_closed;
byte wakers;       /* threads that are about to write */

bit external_work = WORKERS;
bit work_ended;

bit signal_bit;    /* SignalSink::pending */

#define LOCK atomic { mutex == 0 -> mutex = 1 }
#define UNLOCK mutex = 0

// -- what is counted ---------------------------------------------------------

byte accepted, refused, ran, destroyed;
bit somebody_wakes;       /* since the loop lay down */
byte next_of[POSTERS];    /* per thread: the post that is to come next */
byte finished;            /* threads */
bit closing;
bit handler_gone;
bit running;              /* the loop */
bit believed_work = WORKERS;    /* what it last read of external_work */

inline write_eventfd() {
  atomic { assert(!eventfd_closed); eventfd++ }   /* (5) */
}

// -- post() ------------------------------------------------------------------

// Sets `wakes` if it is the calling thread that is to wake the loop.
inline look_at_sleeping() {
#ifdef WAKE_ALWAYS
  atomic { assert(!somebody_wakes); somebody_wakes = 1 };
  wakes = 1;
#else
  wakes = sleeping;
  if
  :: wakes ->
    atomic {
      wakes = sleeping;
      sleeping = 0;
      if
      :: wakes -> assert(!somebody_wakes); somebody_wakes = 1   /* (4) */
      :: else
      fi
    }
  :: else
  fi;
#endif
#ifndef COUNT_AFTER_UNLOCK
  if
  :: wakes -> wakers++
  :: else
  fi
#endif
}

inline wake_and_leave() {
  if
  :: wakes ->
#ifdef COUNT_AFTER_UNLOCK
    wakers++;
#endif
    write_eventfd();
    wakers--
  :: else
  fi;
  wakes = 0
}

inline append() {
  incoming ! me, number;
  accepted++;
  if
  :: !pending -> pending = 1;
#ifndef WAKE_BEFORE_POST
    look_at_sleeping()
#endif
  :: else
  fi
}

proctype poster(byte me) {
  byte number = 0;
  bit wakes;
#ifdef CHECK_THEN_POST
  bit was_closed;
#endif
  do
  :: number == POSTS -> break
  :: else ->
#ifdef WAKE_BEFORE_POST
    look_at_sleeping();
    wake_and_leave();
#endif
#ifdef CHECK_THEN_POST
    was_closed = closed;
    LOCK;
    if
    :: was_closed -> refused++
    :: else -> append()
    fi;
#else
    LOCK;
    if
    :: closed -> refused++
    :: else -> append()
    fi;
#endif
    UNLOCK;
    wake_and_leave();
    number++
  od;
  finished++
}

// -- end_external_work(), of the last one out ----------------------------------

inline announce_end() {
#ifndef WORK_UNANNOUNCED
  work_ended = 1
#else
  skip
#endif
}

#if WORKERS
proctype worker() {
  bit wakes;
  external_work = 0;
#ifndef WORK_TOO_LATE
  announce_end();
#endif
  LOCK;
  if
  :: closed
  :: else ->
#ifdef WORK_WAKES_ALWAYS
    atomic { assert(!somebody_wakes); somebody_wakes = 1 };
    wakes = 1;
    wakers++
#else
    look_at_sleeping()
#endif
  fi;
#ifdef WORK_TOO_LATE
  announce_end();
#endif
  UNLOCK;
  wake_and_leave();
  finished++
}
#endif

// -- a signal handler: sets its bit, then wakes, asleep or not ----------------

proctype signal_handler() {
  byte sent = 0;
  do
  :: sent == SIGNALS -> break
  :: else ->
    if
    :: closing -> break
    :: else -> signal_bit = 1; write_eventfd(); sent++
    fi
  od;
  handler_gone = 1
}

// -- the loop ----------------------------------------------------------------

byte who, number_of_post;

inline account(counter) {
  assert(number_of_post == next_of[who]);   /* (3), and nothing twice */
  next_of[who]++;
  counter++
}

// Takes the whole queue. It is under the lock, so one step will do.
inline take_all(counter) {
  atomic {
    do
    :: nempty(incoming) -> incoming ? who, number_of_post; account(counter)
    :: empty(incoming) -> break
    od;
    who = 0;
    number_of_post = 0
  }
}

inline take() {
  LOCK;
  take_all(ran);
#ifdef CLEAR_AFTER_UNLOCK
  UNLOCK;
  pending = 0
#else
  pending = 0;
  UNLOCK
#endif
}

inline close_queue() {
#ifdef CLOSE_IN_TWO_STEPS
  LOCK;
  take_all(destroyed);
  UNLOCK;
  LOCK;
  closed = 1;
#else
  LOCK;
  closed = 1;
  take_all(destroyed);
#endif
  pending = 0;
  UNLOCK;
#ifndef CLOSE_AT_ONCE
  wakers == 0;                                  /* waits */
#endif
  eventfd_closed = 1
}

// prepare_sleep(): sets `may_sleep`.
inline prepare_sleep() {
#ifdef CHECK_BEFORE_ANNOUNCE
  may_sleep = !pending;
  atomic { sleeping = 1; somebody_wakes = 0 };
#else
  atomic { sleeping = 1; somebody_wakes = 0 };
#ifndef WORK_UNSEEN
  atomic { news = work_ended; work_ended = 0 };   /* exchange */
#endif
#ifdef NO_RECHECK
  may_sleep = !news;
#else
  may_sleep = !pending && !news;
#endif
  news = 0;
#endif
  if
  :: may_sleep
  :: else -> sleeping = 0
  fi
}

inline collect_posts() {
  if
  :: pending -> take()
  :: else
  fi
}

inline collect_signals() {
  if
  :: signal_bit -> signal_bit = 0
  :: else
  fi
}

inline one_pass() {
  believed_work = external_work;      /* run_until_idle(), for one, asks */
  prepare_sleep();
  if
  :: may_sleep ->
    if
    :: eventfd > 0                              /* epoll_wait */
    :: others < OTHERS -> others++              /* a timer, a descriptor */
    :: closing                                  /* told so by init */
    fi;
    sleeping = 0                                /* slept() */
  :: else
  fi;
  may_sleep = 0;
  reported = (eventfd > 0);
#ifdef DRAIN_AFTER_COLLECT
  collect_signals();
  collect_posts();
#endif
  if
  :: reported -> eventfd = 0                    /* drain() */
  :: else
  fi;
#ifndef DRAIN_AFTER_COLLECT
  collect_signals();
  collect_posts();
#endif
  reported = 0
}

proctype loop() {
  bit may_sleep, reported, news;
  byte others, runs;
  do
  :: runs < RUNS && !closing ->
    runs++;
    running = 1;
    sleeping = 0;                               /* slept() */
    do
    :: closing -> break
    :: !closing -> one_pass()
    :: true -> break                            /* stop() */
    od;
    running = 0;
    prepare_sleep();                            /* left() */
#ifndef LEAVE_ASLEEP
    if
    :: !may_sleep -> write_eventfd()
    :: else
    fi;
#endif
    may_sleep = 0;
    if
    :: runs < RUNS -> eventfd > 0 || closing    /* an outer loop waits */
    :: closing = 1
    fi
  :: closing -> break
  od;
  handler_gone;                                 /* SignalTable::clear() */
  close_queue();
  finished++
}

// -- who watches -------------------------------------------------------------

// `timeout` is true when no other process can take a step.
init {
  atomic {
    run loop();
    run signal_handler();
#if WORKERS
    run worker();
#endif
#if POSTERS > 1
    run poster(1);
#endif
    run poster(0)
  };
  do
  :: finished == POSTERS + WORKERS + 1 -> break
  :: timeout ->
    // Only the loop is left, and it sleeps, or nobody runs it.            (1)
    assert(finished == POSTERS + WORKERS && handler_gone && !closing);
    assert(empty(incoming) && !pending && !signal_bit);
    assert(!running || believed_work == external_work);
    closing = 1
  od;
  assert(accepted + refused == POSTERS * POSTS);   /* (2) */
  assert(ran + destroyed == accepted);
  assert(eventfd_closed && wakers == 0)
}
