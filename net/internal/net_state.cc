// SPDX-License-Identifier: MIT
#include "net/internal/net_state.h"

#include <new>
#include <utility>

#include "futures/internal/loop_state.h"
#include "net/internal/datagram_batch.h"
#include "reactor/internal/loop_access.h"
#include "reactor/thread_pool.h"

namespace rondo::detail {

NetState& NetState::of(EventLoop& loop) {
  std::unique_ptr<LoopExtension>& kept = LoopState::of(loop).upper;
  if (kept == nullptr) kept.reset(new NetState(loop));
  return static_cast<NetState&>(*kept);
}

NetState::NetState(EventLoop& loop)
    : loop_(loop), kernel_(LoopAccess::kernel(loop)) {
  buffers_.reserve(kKeptMax);
  read_buffers_.reserve(kKeptMax);
}

NetState::~NetState() { NetState::on_close(); }

void NetState::on_close() noexcept {
  if (resolver_ == nullptr) return;
  try {
    resolver_->shutdown(Duration::zero());  // its threads end by themselves
  } catch (...) {                           // NOLINT(bugprone-empty-catch)
    // On a thread of that very pool.
  }
  resolver_.reset();
}

ThreadPool& NetState::resolver() {
  if (resolver_ == nullptr) {
    resolver_ =
        std::make_unique<ThreadPool>(kResolverThreads, "resolver", kernel_);
  }
  return *resolver_;
}

char* NetState::read_buffer() {
  if (read_buffer_ == nullptr) read_buffer_.reset(new char[kReadBytes]);
  return read_buffer_.get();
}

std::unique_ptr<char[]> NetState::take_read_buffer(
    std::string_view data) noexcept {
  if (data.data() != read_buffer_.get()) return nullptr;
  std::unique_ptr<char[]> next;
  if (read_buffers_.empty()) {
    next.reset(new (std::nothrow) char[kReadBytes]);
    if (next == nullptr) return nullptr;  // the loop has to read on
  } else {
    next = std::move(read_buffers_.back());
    read_buffers_.pop_back();
  }
  return std::exchange(read_buffer_, std::move(next));
}

void NetState::give_back_read_buffer(std::unique_ptr<char[]> memory) noexcept {
  if (read_buffers_.size() < kKeptMax) {
    read_buffers_.push_back(std::move(memory));
  }
}

NetState::PlainMemory::PlainMemory(NetState& net)
    : net_(net), memory_(std::move(net.plain_memory_)) {
  if (memory_ == nullptr) memory_.reset(new char[size()]);
}

NetState::PlainMemory::~PlainMemory() {
  net_.plain_memory_ = std::move(memory_);
}

DatagramBatch& NetState::datagrams() {
  if (datagrams_ == nullptr) datagrams_ = std::make_unique<DatagramBatch>();
  return *datagrams_;
}

std::string NetState::take_buffer() noexcept {
  if (buffers_.empty()) return {};
  std::string buffer = std::move(buffers_.back());
  buffers_.pop_back();
  kept_bytes_ -= buffer.capacity();
  return buffer;
}

void NetState::give_back(std::string& buffer) noexcept {
  buffer.clear();
  if (buffer.capacity() >= kKeptBytesMin &&
      buffer.capacity() <= kKeptBytesMax - kept_bytes_ &&
      buffers_.size() < kKeptMax) {
    kept_bytes_ += buffer.capacity();
    buffers_.push_back(std::move(buffer));
  }
  // (To assign an empty string would keep the memory.)
  std::string().swap(buffer);
}

}  // namespace rondo::detail
