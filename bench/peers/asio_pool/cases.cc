// SPDX-License-Identifier: MIT
//
// Boost.Asio with two threads. What must not run at the same time goes through
// a strand. Only what a pool is for: calls from outside, jobs of their own, and
// connections.

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/version.hpp>
#include <cstddef>
#include <cstdint>
#include <future>
#include <string>
#include <vector>

#include "bench/peers/asio_pool/servers.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

namespace asio = boost::asio;
using peers::Clock;
using peers::Sample;

/// Calls from other threads, one after the other, by either thread.
class StrandLoop {
 public:
  void post(void (*function)(void*), void* data) {
    asio::post(strand_, [=] { function(data); });
  }
  /// Waits until stop() was called and nothing is left.
  void run() { pool_.join(); }
  void stop() { work_.reset(); }

 private:
  asio::thread_pool pool_{asio_pool::kThreads};
  asio::strand<asio::thread_pool::executor_type> strand_ =
      asio::make_strand(pool_);
  asio::executor_work_guard<asio::thread_pool::executor_type> work_ =
      asio::make_work_guard(pool_);
};

/// A hundred jobs, each with a future, and then the futures' results.
void spawn_join_100(Sample& sample) {
  asio::thread_pool pool(asio_pool::kThreads);
  std::atomic<std::uint64_t> ran{0};
  std::vector<std::future<void>> jobs;
  jobs.reserve(100);
  sample.measure([&] {
    peers::in_batches(sample.operations(), 100, [&](std::size_t count) {
      for (std::size_t n = 0; n < count; ++n) {
        jobs.push_back(asio::post(pool, asio::use_future([&ran] { ++ran; })));
      }
      for (std::future<void>& job : jobs) job.get();
      jobs.clear();
    });
  });
  pool.join();
  sample.done(ran);
}

std::string version() {
  return "Boost.Asio " + std::to_string(BOOST_VERSION / 100'000) + "." +
         std::to_string(BOOST_VERSION / 100 % 1'000) + "." +
         std::to_string(BOOST_VERSION % 100) + " (two threads)";
}

}  // namespace

int main(int argc, char** argv) {
  const char* name = "asio_pool";
  peers::Program program(version());
  program.add("remote/post_1", name, 100'000, Clock::kProcess,
              peers::post_1<StrandLoop>);
  program.add("tasks/spawn_join_100", name, 20'000, Clock::kProcess,
              spawn_join_100);
  program.add_server("echo", name, asio_pool::serve);
  return program.run(argc, argv);
}
