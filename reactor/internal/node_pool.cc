// SPDX-License-Identifier: MIT
#include "reactor/internal/node_pool.h"

#include <algorithm>
#include <new>

namespace rondo::detail {
namespace {

// Small at first (a loop that runs three timers should cost little), then
// doubling, so that a million nodes take some twenty allocations.
constexpr std::size_t kFirstSlabNodes = 32;
constexpr std::size_t kLargestSlabNodes = 1 << 16;

}  // namespace

NodePoolPtr NodePool::create(std::size_t node_bytes) {
  const std::size_t step = sizeof(FreeNode);
  return NodePoolPtr(new NodePool((node_bytes + step - 1) / step * step));
}

NodePool::~NodePool() {
  while (slabs_ != nullptr) {
    Slab* slab = slabs_;
    slabs_ = slab->next;
    ::operator delete(slab);
  }
}

void NodePool::grow() {
  const std::size_t node_count =
      slabs_ == nullptr ? kFirstSlabNodes
                        : std::min(slabs_->node_count * 2, kLargestSlabNodes);
  void* memory = ::operator new(sizeof(Slab) + node_count * node_bytes_);
  slabs_ = ::new (memory) Slab{slabs_, node_count};
  unused_ = static_cast<std::byte*>(memory) + sizeof(Slab);
  unused_end_ = unused_ + node_count * node_bytes_;
}

std::size_t NodePool::in_use() const noexcept {
  std::size_t nodes = 0;
  for (const Slab* slab = slabs_; slab != nullptr; slab = slab->next) {
    nodes += slab->node_count;
  }
  nodes -= static_cast<std::size_t>(unused_end_ - unused_) / node_bytes_;
  for (const FreeNode* node = free_; node != nullptr; node = node->next) {
    --nodes;
  }
  return nodes;
}

void NodePool::retire() noexcept {
  retired_ = true;
  in_use_after_retirement_ = in_use();
  if (in_use_after_retirement_ == 0) delete this;
}

void NodePool::release_after_retirement() noexcept {
  if (--in_use_after_retirement_ == 0) delete this;
}

}  // namespace rondo::detail
