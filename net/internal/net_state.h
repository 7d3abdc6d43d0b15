// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/internal/fd_uses.h"
#include "reactor/internal/loop_extension.h"
#include "reactor/kernel.h"

namespace rondo {

class EventLoop;
class ThreadPool;

namespace detail {

class DatagramBatch;

/// What this layer keeps for a loop: memory that its connections share, so
/// that one that is idle needs none and a busy one allocates nothing.
class NetState final : public LoopExtension {
 public:
  /// That of `loop`, made when first asked for.
  static NetState& of(EventLoop& loop);
  ~NetState() override;

  /// What one recv(2) may give. asyncio's max_size.
  static constexpr std::size_t kReadBytes = std::size_t{256} * 1024;
  /// kReadBytes for what is being read now. The kernel gives its pages when
  /// they are first touched.
  char* read_buffer();
  /// That memory itself, for who goes on with what is at its beginning: it need
  /// not be copied. Null if `data` does not begin there, or if there is none
  /// for the next recv(2).
  std::unique_ptr<char[]> take_read_buffer(std::string_view data) noexcept;
  /// Keeps it for the next recv(2).
  void give_back_read_buffer(std::unique_ptr<char[]> memory) noexcept;

  /// Memory for what is decrypted, while it lives: the loop's, or, if another
  /// connection below or above this one has that, its own.
  class PlainMemory {
   public:
    explicit PlainMemory(NetState& net);
    PlainMemory(const PlainMemory&) = delete;
    PlainMemory& operator=(const PlainMemory&) = delete;
    ~PlainMemory();

    char* data() const noexcept { return memory_.get(); }
    static constexpr std::size_t size() noexcept {
      return std::size_t{64} * 1024;
    }

   private:
    NetState& net_;
    std::unique_ptr<char[]> memory_;
  };

  /// The same for datagrams. Made when first used.
  DatagramBatch& datagrams();

  /// What has no memory of its own is smaller: a std::string keeps 15 bytes in
  /// itself.
  static constexpr std::size_t kKeptBytesMin = 16;
  /// An empty string that has memory already, if there is one.
  std::string take_buffer() noexcept;
  /// Keeps the memory of `buffer` for the next one, and leaves it empty.
  void give_back(std::string& buffer) noexcept;

  /// The threads that look names up. Made when first used.
  ThreadPool& resolver();

  /// Which descriptors have an owner on this loop.
  FdUses& fd_uses() noexcept { return fd_uses_; }

  EventLoop& loop() const noexcept { return loop_; }
  Kernel& kernel() const noexcept { return kernel_; }
  void on_close() noexcept override;

 private:
  // No more than so many of each are kept, and of the strings so many bytes in
  // all: what the messages of one pass may need.
  static constexpr std::size_t kKeptMax = 64;
  static constexpr std::size_t kKeptBytesMax = std::size_t{8} << 20;

  // A name server that does not answer keeps a thread for a minute.
  static constexpr std::size_t kResolverThreads = 4;

  explicit NetState(EventLoop& loop);

  EventLoop& loop_;
  Kernel& kernel_;
  std::unique_ptr<char[]> read_buffer_;
  std::vector<std::unique_ptr<char[]>> read_buffers_;  // of those that follow
  std::unique_ptr<char[]> plain_memory_;
  std::unique_ptr<DatagramBatch> datagrams_;
  std::unique_ptr<ThreadPool> resolver_;
  std::vector<std::string> buffers_;
  std::size_t kept_bytes_ = 0;  // of all of them
  FdUses fd_uses_;
};

}  // namespace detail
}  // namespace rondo
