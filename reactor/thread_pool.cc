// SPDX-License-Identifier: MIT
#include "reactor/thread_pool.h"

#include <cxxabi.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "reactor/check.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"

namespace rondo {

/// A job on its way: queue -> thread -> loop. Whoever has it at the moment
/// holds the one strong reference.
struct ThreadPool::Ticket::Work {
  std::shared_ptr<State> pool;
  std::shared_ptr<RemoteQueue> remote;
  Job job;
  Completion on_done;
  std::exception_ptr error;
};

namespace {

/// How often this process was forked off. Threads do not come along, and a
/// lock that one of them held stays held: a pool of the parent is unusable.
std::atomic<unsigned> forks{0};

unsigned current_process() {
  static const int once =
      ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
  static_cast<void>(once);
  return forks.load();
}

}  // namespace

struct ThreadPool::State : std::enable_shared_from_this<State> {
  using WorkPtr = std::shared_ptr<Ticket::Work>;
  using Queue = std::deque<WorkPtr>;
  class Thread;

  int start_thread();
  static void* thread_main(void* argument);
  void run_jobs();
  static void run_job(WorkPtr work);
  static void report(WorkPtr work) noexcept;
  void join_ended();
  bool is_own_thread() const;
  bool shut_down(Duration timeout);

  bool is_forked() const { return process != current_process(); }
  void check_process() const {
    if (!is_forked()) return;
    throw RuntimeError(
        "This thread pool belongs to the parent process: make a new one after "
        "fork()");
  }

  const unsigned process = current_process();
  std::size_t threads_max = 0;
  std::string name;
  Kernel* kernel = nullptr;

  mutable std::mutex mutex;  // for what follows
  std::condition_variable has_work;
  std::condition_variable thread_ended;
  Queue queue;
  std::vector<::pthread_t> threads;  // that run
  std::vector<::pthread_t> ended;    // and are to be joined
  std::shared_ptr<State> self;       // held while threads run
  std::size_t idle = 0;
  std::size_t started = 0;  // ever, for the names
  bool stopping = false;
  bool gave_up = false;  // shutdown() did: nobody will join
};

// -- the loop's side ---------------------------------------------------------

ThreadPool::ThreadPool(std::size_t threads_max, std::string name,
                       Kernel& kernel)
    : state_(std::make_shared<State>()) {
  if (threads_max == 0) {
    throw std::invalid_argument("ThreadPool: threads_max must be > 0");
  }
  state_->threads_max = threads_max;
  state_->name = std::move(name);
  state_->kernel = &kernel;
}

ThreadPool::~ThreadPool() {
  if (state_->gave_up || state_->is_forked()) return;
  state_->shut_down(Duration::max());
}

ThreadPool::Ticket ThreadPool::submit(EventLoop& loop, Job job,
                                      Completion on_done) {
  if (!job || !on_done) {
    throw std::invalid_argument(
        "ThreadPool::submit: a job and a completion are needed");
  }
  state_->check_process();
  if (loop.is_closed()) throw RuntimeError("Event loop is closed");
  auto work = std::make_shared<Ticket::Work>();
  work->pool = state_;
  work->remote = loop.remote_queue();
  work->job = std::move(job);
  work->on_done = std::move(on_done);
  Ticket ticket(work);
  state_->join_ended();
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) {
      throw RuntimeError("cannot schedule new jobs after shutdown");
    }
    if (state_->idle <= state_->queue.size() &&
        state_->threads.size() < state_->threads_max) {
      const int error = state_->start_thread();
      if (error != 0 && state_->threads.empty()) {
        throw std::system_error(error, std::generic_category(),
                                "ThreadPool: no thread can be made");
      }
    }
    RemoteQueue& remote = *work->remote;
    state_->queue.push_back(std::move(work));
    remote.begin_external_work();
  }
  state_->has_work.notify_one();
  return ticket;
}

bool ThreadPool::Ticket::cancel() {
  const std::shared_ptr<Work> work = work_.lock();
  if (work == nullptr) return false;
  work->pool->check_process();
  {
    const std::lock_guard lock(work->pool->mutex);
    if (std::erase(work->pool->queue, work) == 0) return false;
  }
  work->remote->end_external_work();
  return true;
}

bool ThreadPool::shutdown(Duration timeout) {
  state_->check_process();
  if (state_->is_own_thread()) {
    throw RuntimeError("ThreadPool::shutdown: cannot join current thread");
  }
  return state_->shut_down(timeout);
}

std::size_t ThreadPool::thread_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->threads.size();
}

std::size_t ThreadPool::queued() const {
  const std::lock_guard lock(state_->mutex);
  return state_->queue.size();
}

bool ThreadPool::State::is_own_thread() const {
  const std::lock_guard lock(mutex);
  return std::any_of(threads.begin(), threads.end(), [](::pthread_t thread) {
    return ::pthread_equal(thread, ::pthread_self()) != 0;
  });
}

bool ThreadPool::State::shut_down(Duration timeout) {
  std::unique_lock lock(mutex);
  stopping = true;
  has_work.notify_all();
  const auto all_ended = [&] { return threads.empty(); };
  // A wait for longer than that cannot be told from one for ever.
  constexpr Duration kEver = std::chrono::hours(24 * 365);
  if (timeout >= kEver) {
    thread_ended.wait(lock, all_ended);
  } else if (!thread_ended.wait_for(lock, timeout, all_ended) && !gave_up) {
    gave_up = true;
    for (const ::pthread_t thread : threads) ::pthread_detach(thread);
  }
  const bool ended_all = all_ended();
  lock.unlock();
  join_ended();
  return ended_all;
}

/// Without the lock: what is left of these threads is the end of their
/// thread_local objects, and those may ask the pool something.
void ThreadPool::State::join_ended() {
  std::vector<::pthread_t> to_join;
  {
    const std::lock_guard lock(mutex);
    to_join.swap(ended);
  }
  for (const ::pthread_t thread : to_join) ::pthread_join(thread, nullptr);
}

/// With the lock. Returns an errno; throws std::bad_alloc.
int ThreadPool::State::start_thread() {
  // Room for both ways that the new thread can go.
  threads.reserve(threads.size() + 1);
  ended.reserve(ended.size() + threads.size() + 2);
  ::pthread_t thread;
  const int error = kernel->thread_create(&thread, thread_main, this);
  if (error != 0) return error;
  if (gave_up) ::pthread_detach(thread);
  threads.push_back(thread);
  self = shared_from_this();
  return 0;
}

// -- the threads' side -------------------------------------------------------

/// Counts a thread out, however it ends.
class ThreadPool::State::Thread {
 public:
  explicit Thread(State& state) : state_(state) {}
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() {
    int error = 0;
    std::shared_ptr<State> last;
    {
      const std::lock_guard lock(state_.mutex);
      const ::pthread_t me = ::pthread_self();
      std::erase_if(state_.threads, [&](::pthread_t thread) {
        return ::pthread_equal(thread, me) != 0;
      });
      // A job that ended its thread leaves its place to another.
      if (state_.threads.empty() && !state_.queue.empty()) {
        error = start_another();
      }
      if (!state_.gave_up) state_.ended.push_back(me);  // there is room
      if (state_.threads.empty()) last = std::move(state_.self);
      state_.thread_ended.notify_all();
    }
    if (error == 0) return;
    while (WorkPtr work = take_stranded()) {
      work->error = no_thread(error);
      report(std::move(work));
    }
  }

 private:
  /// A job that has no thread, or null.
  WorkPtr take_stranded() noexcept {
    const std::lock_guard lock(state_.mutex);
    if (!state_.threads.empty() || state_.queue.empty()) return nullptr;
    WorkPtr work = std::move(state_.queue.front());
    state_.queue.pop_front();
    return work;
  }
  static std::exception_ptr no_thread(int error) noexcept {
    try {
      throw std::system_error(error, std::generic_category(),
                              "ThreadPool: no thread can be made");
    } catch (...) {
      return std::current_exception();  // or the bad_alloc of its text
    }
  }
  int start_another() noexcept {
    try {
      return state_.start_thread();
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
  }

  State& state_;
};

void* ThreadPool::State::thread_main(void* argument) {
  State& state = *static_cast<State*>(argument);
  const Thread thread(state);
  state.run_jobs();
  return nullptr;
}

void ThreadPool::State::run_jobs() {
  std::unique_lock lock(mutex);
  // pthread_setname_np(3): fifteen characters at most.
  const std::string number = "-" + std::to_string(started++);
  const std::string title = name.substr(0, 15 - number.size()) + number;
  ::pthread_setname_np(::pthread_self(), title.c_str());
  for (;;) {
    ++idle;
    has_work.wait(lock, [&] { return !queue.empty() || stopping; });
    --idle;
    if (queue.empty()) return;
    WorkPtr work = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    run_job(std::move(work));
    lock.lock();
  }
}

RONDO_CATCHES_FORCED_UNWIND void ThreadPool::State::run_job(WorkPtr work) {
  try {
    work->job();
  } catch (const abi::__forced_unwind&) {
    work->error = std::make_exception_ptr(
        RuntimeError("the job ended its thread (pthread_exit)"));
    report(std::move(work));
    throw;
  } catch (...) {
    work->error = std::current_exception();
  }
  report(std::move(work));
}

/// Sends `work` to its loop. If there is none any more it is destroyed here.
void ThreadPool::State::report(WorkPtr work) noexcept {
  work->job.reset();
  const std::shared_ptr<RemoteQueue> remote = work->remote;
  Kernel& kernel = *work->pool->kernel;
  // The work itself travels, so there is nothing to allocate here.
  Callback completion([work = std::move(work)] {
    work->on_done(std::exchange(work->error, nullptr));
  });
  for (;;) {
    try {
      remote->try_post(completion);
      break;
    } catch (const std::bad_alloc&) {
      // The queue could not grow. A completion must not be lost: again.
      kernel.sleep_ns(1'000'000);
    }
  }
  completion.reset();
  remote->end_external_work();
}

}  // namespace rondo
