// SPDX-License-Identifier: MIT
#include "net/internal/file_sender.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "futures/run_in_executor.h"
#include "net/internal/pipe_signal.h"
#include "net/internal/system_error.h"
#include "net/sendfile.h"

namespace rondo::detail {

namespace {

/// sendfile(2) without the SIGPIPE that it raises where it fails with EPIPE:
/// it has no MSG_NOSIGNAL.
ssize_t quiet_sendfile(Kernel& kernel, int to, int from, ::off_t* offset,
                       std::size_t size) {
  PipeSignalBlocked blocked(kernel);
  if (blocked.error() != 0) {
    errno = ENOSYS;
    return -1;
  }
  const ssize_t sent = kernel.sendfile(to, from, offset, size);
  if (sent < 0 && errno == EPIPE) blocked.was_raised();
  return sent;
}

/// What sendfile(2) says of a file that it cannot read in its way.
bool is_not_available(int error_number) {
  return error_number == EINVAL || error_number == ENOSYS ||
         error_number == EOPNOTSUPP || error_number == ESPIPE;
}

bool is_of_socket(int error_number) {
  switch (error_number) {
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
      return true;
    default:
      return false;
  }
}

/// On a thread: `size` bytes of `file` from `offset` on, or fewer; none at its
/// end. What has no offsets, a pipe, is read on.
std::string read_chunk(Kernel* kernel, int file, std::int64_t offset,
                       bool from_start, std::size_t size) {
  std::string chunk(size, '\0');
  bool has_offsets = true;
  for (;;) {
    const ssize_t count = has_offsets
                              ? kernel->pread(file, chunk.data(), size, offset)
                              : kernel->read(file, chunk.data(), size);
    if (count >= 0) {
      chunk.resize(static_cast<std::size_t>(count));
      return chunk;
    }
    if (errno == EINTR) continue;
    if (errno == ESPIPE && has_offsets && from_start) {
      has_offsets = false;
      continue;
    }
    throw std::system_error(errno, std::generic_category(),
                            has_offsets ? "pread" : "read");
  }
}

}  // namespace

FileSender::FileSender(int file, std::int64_t offset,
                       std::optional<std::int64_t> count, bool fallback)
    : file_(file), offset_(offset), count_(count), fallback_(fallback) {
  if (count && *count <= 0) {
    throw std::invalid_argument("count must be a positive integer (got " +
                                std::to_string(*count) + ")");
  }
  if (offset < 0) {
    throw std::invalid_argument("offset must be a non-negative integer (got " +
                                std::to_string(offset) + ")");
  }
}

FileSender::~FileSender() {
  if (reading_) reading_.state()->cancel_quietly();
}

/// How much to ask for next; zero if nothing can be there.
std::size_t FileSender::next_size(std::size_t most) const noexcept {
  std::int64_t size =
      std::numeric_limits<std::int64_t>::max() - offset_ - total_;
  if (count_) size = std::min(size, *count_ - total_);
  return std::min(most, static_cast<std::size_t>(size));
}

FileSender::Outcome FileSender::send(EventLoop& loop, Kernel& kernel,
                                     int socket) {
  std::size_t budget = kBudgetBytes;
  while (budget > 0) {
    Outcome outcome;
    if (is_native_) {
      outcome = send_natively(kernel, socket, budget);
    } else {
      outcome = read(loop, kernel);
      if (outcome == Outcome::kMore) {
        outcome = send_chunk(kernel, socket, budget);
      }
    }
    if (outcome != Outcome::kMore) return outcome;
  }
  return Outcome::kMore;
}

FileSender::Outcome FileSender::send_natively(Kernel& kernel, int socket,
                                              std::size_t& budget) {
  const std::size_t size = next_size(budget);
  if (size == 0) return Outcome::kDone;
  ::off_t offset = offset_ + total_;
  const ssize_t count = quiet_sendfile(kernel, socket, file_, &offset, size);
  if (count > 0) {
    total_ += count;
    budget -= static_cast<std::size_t>(count);
    return Outcome::kMore;
  }
  if (count == 0) return Outcome::kDone;
  if (would_block(errno)) return Outcome::kBlocked;
  if (errno == EOVERFLOW) return Outcome::kDone;  // no file is so long
  if (is_not_available(errno) && total_ == 0) {
    if (!fallback_) {
      throw SendfileNotAvailableError("os.sendfile call failed");
    }
    is_native_ = false;
    return Outcome::kMore;
  }
  if (is_of_socket(errno)) fail_socket("sendfile", errno);
  throw std::system_error(errno, std::generic_category(), "sendfile");
}

FileSender::Outcome FileSender::send_chunk(Kernel& kernel, int socket,
                                           std::size_t& budget) {
  const std::string_view data = chunk();
  const ssize_t count =
      kernel.send(socket, data.data(), data.size(), MSG_NOSIGNAL);
  if (count < 0) {
    if (would_block(errno)) return Outcome::kBlocked;
    fail_socket("send", errno);
  }
  sent(static_cast<std::size_t>(count));
  budget -= std::min(budget, static_cast<std::size_t>(count));
  return Outcome::kMore;
}

FileSender::Outcome FileSender::read(EventLoop& loop, Kernel& kernel) {
  if (!chunk().empty()) return Outcome::kMore;
  if (!reading_) {
    const std::size_t size = next_size(kChunkBytes);
    if (size == 0) return Outcome::kDone;
    reading_ = run_in_executor(loop, nullptr, read_chunk, &kernel, file_,
                               offset_ + total_, offset_ == 0, size);
  }
  if (!reading_.done()) return Outcome::kReading;
  const Future<std::string> reading = std::exchange(reading_, {});
  chunk_ = reading.take_result();
  chunk_sent_ = 0;
  return chunk_.empty() ? Outcome::kDone : Outcome::kMore;
}

void FileSender::sent(std::size_t size) noexcept {
  chunk_sent_ += size;
  total_ += static_cast<std::int64_t>(size);
}

void FileSender::fail_socket(const char* operation, int error_number) {
  is_socket_error_ = true;
  throw std::system_error(error_number, std::generic_category(), operation);
}

}  // namespace rondo::detail
