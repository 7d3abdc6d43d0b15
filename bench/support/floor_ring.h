// SPDX-License-Identifier: MIT
#pragma once

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "bench/support/harness.h"

// Floors for call_soon: what a hand-written loop does for the same work and
// nothing else. No exceptions, no captures that need a destructor, no names,
// no statistics, no growth past a fixed size.

namespace bench {

/// An epoll set with one eventfd in it, as a loop has that can be woken.
class FloorPoll {
 public:
  FloorPoll() : epoll_(epoll_create1(0)), wake_(eventfd(0, EFD_NONBLOCK)) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) fail("epoll");
  }
  FloorPoll(const FloorPoll&) = delete;
  FloorPoll& operator=(const FloorPoll&) = delete;
  ~FloorPoll() {
    close(epoll_);
    close(wake_);
  }

  void look() {
    if (epoll_wait(epoll_, events_, kEvents, 0) != 0) fail("epoll_wait");
  }

 private:
  static constexpr int kEvents = 64;
  int epoll_;
  int wake_;
  epoll_event events_[kEvents];
};

/// A bare ring of function and pointer: what cannot be gone below.
class FloorRing {
 public:
  using Function = void (*)(void*);

  void call_soon(Function function, void* data) {
    if (tail_ - head_ == kSize) fail("ring full");
    ring_[tail_++ & (kSize - 1)] = {function, data};
  }
  std::size_t size() const { return tail_ - head_; }
  void run_ready() {
    for (std::size_t left = size(); left > 0; --left) {
      const Item item = ring_[head_++ & (kSize - 1)];
      item.function(item.data);
    }
  }

 private:
  struct Item {
    Function function;
    void* data;
  };
  static constexpr std::size_t kSize = 4096;
  Item ring_[kSize];
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

/// A ring of nodes from a free list: each call can be cancelled through a
/// counted handle, and 40 bytes of captures lie in the node.
class FloorHandleRing {
 public:
  struct Node {
    void (*call)(void* captures);
    alignas(void*) std::byte captures[40];
    Node* next_free;
    FloorHandleRing* ring;
    std::uint32_t references;
    bool cancelled;
  };

  class Handle {
   public:
    Handle() = default;
    explicit Handle(Node* node) : node_(node) { ++node->references; }
    Handle(Handle&& other) noexcept
        : node_(std::exchange(other.node_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
      std::swap(node_, other.node_);
      return *this;
    }
    ~Handle() {
      if (node_ != nullptr) release(node_);
    }
    void cancel() { node_->cancelled = true; }

   private:
    Node* node_ = nullptr;
  };

  FloorHandleRing() : nodes_(static_cast<Node*>(std::malloc(kBytes))) {
    std::memset(static_cast<void*>(nodes_), 0, kBytes);
    for (std::size_t index = 0; index < kSize; ++index) {
      nodes_[index].ring = this;
      put_back(&nodes_[index]);
    }
  }
  FloorHandleRing(const FloorHandleRing&) = delete;
  FloorHandleRing& operator=(const FloorHandleRing&) = delete;
  ~FloorHandleRing() { std::free(nodes_); }

  template <class F>
  Handle call_soon(F callable) {
    static_assert(sizeof(F) <= sizeof(Node::captures));
    static_assert(std::is_trivially_copyable_v<F>);
    Node* node = free_;
    if (node == nullptr) fail("pool empty");
    free_ = node->next_free;
    node->call = [](void* captures) { (*static_cast<F*>(captures))(); };
    ::new (static_cast<void*>(node->captures)) F(callable);
    node->references = 1;
    node->cancelled = false;
    ring_[tail_++ & (kSize - 1)] = node;
    return Handle(node);
  }
  std::size_t size() const { return tail_ - head_; }
  void run_ready() {
    for (std::size_t left = size(); left > 0; --left) {
      Node* node = ring_[head_++ & (kSize - 1)];
      if (!node->cancelled) node->call(node->captures);
      release(node);
    }
  }

 private:
  static constexpr std::size_t kSize = 4096;
  static constexpr std::size_t kBytes = kSize * sizeof(Node);

  static void release(Node* node) {
    if (--node->references == 0) node->ring->put_back(node);
  }
  void put_back(Node* node) {
    node->next_free = free_;
    free_ = node;
  }

  Node* nodes_;
  Node* free_ = nullptr;
  Node* ring_[kSize];
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace bench
