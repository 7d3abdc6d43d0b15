// SPDX-License-Identifier: MIT
#include "futures/wrap_future.h"

namespace rondo::detail {

void LinkAbroad::send_home(std::shared_ptr<FutureLink> link) noexcept {
  const FutureLink& kept = *link;
  kept.post([link = std::move(link)] { link->drop(); });
}

}  // namespace rondo::detail
