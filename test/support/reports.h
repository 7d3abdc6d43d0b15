// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reactor/event_loop.h"

namespace rondo {

/// Is a loop's exception handler, and keeps what it is told. May go before the
/// loop does, which still has things to say when it is closed.
class Reports {
  std::shared_ptr<std::vector<std::string>> told_ =
      std::make_shared<std::vector<std::string>>();

 public:
  explicit Reports(EventLoop& loop) {
    loop.set_exception_handler(
        [told = told_](EventLoop&, const ExceptionContext& context) {
          told->push_back(context.message);
        });
  }
  Reports(const Reports&) = delete;
  Reports& operator=(const Reports&) = delete;

  /// How many say that `fd` was lost.
  int lost(int fd) const {
    const std::string words = "fd " + std::to_string(fd) + " was lost";
    int count = 0;
    for (const std::string& message : messages) {
      count += message.find(words) != std::string::npos ? 1 : 0;
    }
    return count;
  }

  std::vector<std::string>& messages = *told_;
};

}  // namespace rondo
