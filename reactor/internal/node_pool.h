// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>

namespace rondo::detail {

/// Memory for nodes of one size: allocate and release are a few instructions
/// and no system call. It grows by slabs and gives nothing back before its
/// end, so that a loop in steady state allocates nothing.
///
/// A node may outlive the loop (a Handle does). So the pool is not destroyed
/// but retired: its memory goes when the last node has come back.
class NodePool {
 public:
  /// A pool for nodes of `node_bytes` each, aligned for a pointer.
  static std::unique_ptr<NodePool, struct RetireNodePool> create(
      std::size_t node_bytes);

  /// Uninitialised memory for a node. Throws std::bad_alloc.
  void* allocate() {
    if (free_ != nullptr) {
      FreeNode* node = free_;
      free_ = node->next;
      return node;
    }
    if (unused_ == unused_end_) grow();
    std::byte* node = unused_;
    unused_ += node_bytes_;
    return node;
  }

  /// Takes a node back.
  void release(void* memory) noexcept {
    auto* node = static_cast<FreeNode*>(memory);
    node->next = free_;
    free_ = node;
    if (retired_) release_after_retirement();
  }

  /// The owner is gone: frees the memory now, or with the last node.
  void retire() noexcept;

  /// How many nodes are in use. Walks the free list: for tests.
  std::size_t in_use() const noexcept;

 private:
  struct FreeNode {
    FreeNode* next;
  };
  struct Slab {
    Slab* next;
    std::size_t node_count;
  };

  explicit NodePool(std::size_t node_bytes) noexcept
      : node_bytes_(node_bytes) {}
  ~NodePool();

  void grow();
  void release_after_retirement() noexcept;

  const std::size_t node_bytes_;
  FreeNode* free_ = nullptr;
  std::byte* unused_ = nullptr;      // the part of the newest slab that
  std::byte* unused_end_ = nullptr;  // was never handed out
  Slab* slabs_ = nullptr;
  std::size_t in_use_after_retirement_ = 0;
  bool retired_ = false;
};

/// Retires a pool instead of deleting it.
struct RetireNodePool {
  void operator()(NodePool* pool) const noexcept { pool->retire(); }
};
/// The owner's hold on a pool.
using NodePoolPtr = std::unique_ptr<NodePool, RetireNodePool>;

}  // namespace rondo::detail
