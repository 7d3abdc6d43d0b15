// SPDX-License-Identifier: MIT
#include "test/support/descriptors.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <system_error>

namespace rondo {
namespace {

/// What the C library answered, or its error as an exception.
int checked(int answer, const char* call) {
  if (answer < 0) {
    throw std::system_error(errno, std::generic_category(), call);
  }
  return answer;
}

}  // namespace

Pipe::Pipe() {
  int ends[2];
  checked(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), "pipe2");
  reader = UniqueFd(ends[0]);
  writer = UniqueFd(ends[1]);
}

SocketPair::SocketPair(int type) {
  int ends[2];
  checked(::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
          "socketpair");
  a = UniqueFd(ends[0]);
  b = UniqueFd(ends[1]);
}

UniqueFd make_eventfd(unsigned count) {
  return UniqueFd(
      checked(::eventfd(count, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"));
}

UniqueFd make_regular_file() {
  const auto folder = std::filesystem::temp_directory_path();
  return UniqueFd(checked(
      ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "open"));
}

UniqueFd duplicate(int fd) {
  return UniqueFd(checked(::fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl"));
}

void duplicate_onto(int fd, int number) {
  checked(::dup3(fd, number, O_CLOEXEC), "dup3");
}

void move_onto(UniqueFd fd, int number) {
  if (fd.get() != number) return duplicate_onto(fd.get(), number);
  fd.release();  // it has the number already
}

void write_text(int fd, std::string_view text) {
  const auto written = ::write(fd, text.data(), text.size());
  checked(written == static_cast<ssize_t>(text.size()) ? 0 : -1, "write");
}

std::string read_text(int fd) {
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t count = ::read(fd, part, sizeof part);
    if (count <= 0) return text;
    text.append(part, static_cast<std::size_t>(count));
  }
}

void fill(int fd) {
  const char zeros[4096] = {};
  while (::write(fd, zeros, sizeof zeros) > 0) {
  }
  while (::write(fd, zeros, 1) > 0) {
  }
}

std::size_t count_open_descriptors() {
  const std::filesystem::directory_iterator open("/proc/self/fd");
  // One of them is the iterator's own.
  return static_cast<std::size_t>(std::distance(begin(open), end(open))) - 1;
}

}  // namespace rondo
