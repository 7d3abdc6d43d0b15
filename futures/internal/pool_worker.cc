// SPDX-License-Identifier: MIT
#include "futures/internal/pool_worker.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

namespace rondo::detail {
namespace {

// What one worker may send or receive before others have their turn.
constexpr std::size_t kBytesPerTurn = 1 << 20;
constexpr std::size_t kBufferBytes = 1 << 16;
// A worker whose memory is in ruins may announce any size. No answer is as
// large as that.
constexpr MessageSize kAnswerBytesMax = MessageSize{1} << 40;

}  // namespace

void PoolWorker::begin(PoolJob& next) noexcept {
  job = &next;
  busy = true;
  request_ = std::move(next.request);
  sent_ = 0;
}

void PoolWorker::undo() noexcept {
  job->request = std::move(request_);
  request_.clear();
  job = nullptr;
  busy = false;
}

PoolWorker::Progress PoolWorker::send() noexcept {
  std::size_t turn = 0;
  while (sending()) {
    if (turn >= kBytesPerTurn) return Progress::kGoesOn;
    const ssize_t count =
        kernel_.send(process.channel(), request_.data() + sent_,
                     request_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      sent_ += static_cast<std::size_t>(count);
      turn += static_cast<std::size_t>(count);
      continue;
    }
    const int error = errno;
    // Interrupted: the channel is as ready as it was.
    if (error == EAGAIN || error == EINTR) return Progress::kWaits;
    if (error == EPIPE || error == ECONNRESET) {
      return sent_ == 0 ? Progress::kRefused : Progress::kBroken;
    }
    return fail("send", error);
  }
  // It may have been large, and the worker may be idle for long.
  request_ = std::string();
  sent_ = 0;
  return Progress::kDone;
}

PoolWorker::Progress PoolWorker::receive() {
  char buffer[kBufferBytes];
  std::size_t turn = 0;
  while (!complete()) {
    if (turn >= kBytesPerTurn) return Progress::kGoesOn;
    const ssize_t count =
        kernel_.recv(process.channel(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count == 0) return Progress::kBroken;
    if (count < 0) {
      const int error = errno;
      if (error == EAGAIN || error == EINTR) return Progress::kWaits;
      if (error == ECONNRESET) return Progress::kBroken;
      return fail("recv", error);
    }
    if (!busy) return fail("unasked answer", EPROTO);
    try {
      answer_.append(buffer, static_cast<std::size_t>(count));
    } catch (const std::bad_alloc&) {
      return Progress::kBroken;  // what came is lost, and so is the rest
    }
    turn += static_cast<std::size_t>(count);
    if (!has_sane_size()) return fail("answer", EPROTO);
  }
  return Progress::kDone;
}

/// Without the size in front: not enough to tell.
bool PoolWorker::complete() const noexcept {
  MessageSize size = 0;
  if (answer_.size() < sizeof size) return false;
  std::memcpy(&size, answer_.data(), sizeof size);
  return answer_.size() - sizeof size == size;
}

bool PoolWorker::has_sane_size() const noexcept {
  MessageSize size = 0;
  if (answer_.size() < sizeof size) return true;
  std::memcpy(&size, answer_.data(), sizeof size);
  return size <= kAnswerBytesMax && answer_.size() - sizeof size <= size;
}

std::string PoolWorker::take_answer() noexcept {
  busy = false;
  served = true;
  return std::exchange(answer_, std::string());
}

PoolWorker::Progress PoolWorker::fail(const char* operation, int error) {
  broken_ = std::string(operation) + ": " +
            std::error_code(error, std::generic_category()).message();
  return Progress::kBroken;
}

}  // namespace rondo::detail
