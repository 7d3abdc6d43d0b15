// SPDX-License-Identifier: MIT
#include "reactor/internal/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

namespace rondo {

spdlog::logger& log() {
  // Never destroyed: a loop may be closed by a static object's destructor.
  static const auto& logger = *new std::shared_ptr<spdlog::logger>([] {
    if (auto registered = spdlog::get("rondo")) return registered;
    auto own = std::make_shared<spdlog::logger>(
        "rondo", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    spdlog::initialize_logger(own);  // registers it, and sets its pattern
    own->set_pattern("%H:%M:%S.%e rondo %l: %v");
    return own;
  }());
  return *logger;
}

}  // namespace rondo
