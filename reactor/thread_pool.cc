// SPDX-License-Identifier: MIT
#include "reactor/thread_pool.h"

#include <cxxabi.h>
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>

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

struct ThreadPool::State {
  using WorkPtr = std::shared_ptr<Ticket::Work>;
  class Thread;

  static int start_thread(const std::shared_ptr<State>& state);
  static void* thread_main(void* argument);
  void run_jobs();
  static void run_job(WorkPtr work);
  static void report(WorkPtr work) noexcept;

  std::size_t threads_max = 0;
  std::string name;
  Kernel* kernel = nullptr;

  mutable std::mutex mutex;  // for what follows
  std::condition_variable has_work;
  std::condition_variable thread_ended;
  std::deque<WorkPtr> queue;
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::size_t started = 0;  // ever, for the names
  bool stopping = false;
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

ThreadPool::~ThreadPool() { shutdown(); }

ThreadPool::Ticket ThreadPool::submit(EventLoop& loop, Job job,
                                      Completion on_done) {
  if (!job || !on_done) {
    throw std::invalid_argument(
        "ThreadPool::submit: a job and a completion are needed");
  }
  if (loop.is_closed()) throw RuntimeError("Event loop is closed");
  auto work = std::make_shared<Ticket::Work>();
  work->pool = state_;
  work->remote = loop.remote_queue();
  work->job = std::move(job);
  work->on_done = std::move(on_done);
  Ticket ticket(work);
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) {
      throw RuntimeError("cannot schedule new jobs after shutdown");
    }
    if (state_->idle <= state_->queue.size() &&
        state_->threads < state_->threads_max) {
      const int error = State::start_thread(state_);
      if (error != 0 && state_->threads == 0) {
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
  {
    const std::lock_guard lock(work->pool->mutex);
    if (std::erase(work->pool->queue, work) == 0) return false;
  }
  work->remote->end_external_work();
  return true;
}

bool ThreadPool::shutdown(Duration timeout) {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->has_work.notify_all();
  const auto ended = [&] { return state_->threads == 0; };
  if (timeout == Duration::max()) {
    state_->thread_ended.wait(lock, ended);
    return true;
  }
  return state_->thread_ended.wait_for(lock, timeout, ended);
}

std::size_t ThreadPool::thread_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->threads;
}

std::size_t ThreadPool::queued() const {
  const std::lock_guard lock(state_->mutex);
  return state_->queue.size();
}

// -- the threads' side -------------------------------------------------------

/// Counts a thread out, however it ends.
class ThreadPool::State::Thread {
 public:
  explicit Thread(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() {
    const std::lock_guard lock(state_->mutex);
    --state_->threads;
    // A job that ended its thread leaves its place to another.
    if (state_->threads == 0 && !state_->queue.empty()) start_thread(state_);
    state_->thread_ended.notify_all();
  }

  State& state() const { return *state_; }

 private:
  std::shared_ptr<State> state_;
};

/// With the lock. Returns an errno.
int ThreadPool::State::start_thread(const std::shared_ptr<State>& state) {
  auto argument = std::make_unique<std::shared_ptr<State>>(state);
  ::pthread_t thread;
  const int error =
      state->kernel->thread_create(&thread, thread_main, argument.get());
  if (error != 0) return error;
  static_cast<void>(argument.release());  // the thread's now
  // Threads are not joined but counted out: shutdown() may give up waiting.
  ::pthread_detach(thread);
  ++state->threads;
  return 0;
}

void* ThreadPool::State::thread_main(void* argument) {
  const std::unique_ptr<std::shared_ptr<State>> owned(
      static_cast<std::shared_ptr<State>*>(argument));
  const Thread thread(std::move(*owned));
  thread.state().run_jobs();
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

void ThreadPool::State::run_job(WorkPtr work) {
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
  for (;;) {
    try {
      // The work itself travels, so there is nothing to allocate here. The
      // completion is taken out: what it captured ends on the loop's thread,
      // whoever lets go of the work last.
      remote->post([work] {
        Completion on_done = std::move(work->on_done);
        on_done(std::exchange(work->error, nullptr));
      });
      break;
    } catch (const std::bad_alloc&) {
      // The queue could not grow. A completion must not be lost: again.
      kernel.sleep_ns(1'000'000);
    }
  }
  work.reset();
  remote->end_external_work();
}

}  // namespace rondo
