// SPDX-License-Identifier: MIT
#include "test/support/log_capture.h"

#include <spdlog/sinks/base_sink.h>

#include <mutex>
#include <utility>

#include "reactor/internal/log.h"

namespace rondo {
namespace {

/// Keeps each message as a string.
class KeepingSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const auto level = spdlog::level::to_string_view(message.level);
    lines_.push_back(
        std::string(level.data(), level.size()) + ": " +
        std::string(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

 private:
  std::vector<std::string> lines_;
};

}  // namespace

struct LogCapture::State {
  std::shared_ptr<KeepingSink> sink = std::make_shared<KeepingSink>();
  std::vector<spdlog::sink_ptr> sinks_before;
  spdlog::level::level_enum level_before;
};

LogCapture::LogCapture() : state_(std::make_unique<State>()) {
  state_->sinks_before = std::exchange(log().sinks(), {state_->sink});
  state_->level_before = log().level();
  log().set_level(spdlog::level::trace);
}

LogCapture::~LogCapture() {
  log().sinks() = std::move(state_->sinks_before);
  log().set_level(state_->level_before);
}

std::vector<std::string> LogCapture::lines() const {
  return state_->sink->lines();
}

}  // namespace rondo
