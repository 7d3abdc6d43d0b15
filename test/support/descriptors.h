// SPDX-License-Identifier: MIT
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "reactor/unique_fd.h"

namespace rondo {

/// A pipe(2) with both ends non-blocking.
struct Pipe {
  Pipe();
  UniqueFd reader;
  UniqueFd writer;
};

/// Two connected unix sockets, both non-blocking.
struct SocketPair {
  explicit SocketPair(int type = SOCK_STREAM);
  UniqueFd a;
  UniqueFd b;
};

/// An eventfd(2) that is readable if `count` is not zero.
UniqueFd make_eventfd(unsigned count = 0);

/// A regular file that has no name any more.
UniqueFd make_regular_file();

/// Another descriptor of what `fd` names.
UniqueFd duplicate(int fd);
/// Gives what `fd` names the given number as well, as if the program's next
/// open() had returned that. Whatever the number named is closed.
void duplicate_onto(int fd, int number);
/// The same, and `fd` is gone: the caller owns `number`.
void move_onto(UniqueFd fd, int number);

/// Writes all of `text`, which has to fit.
void write_text(int fd, std::string_view text);

/// All that there is to read now.
std::string read_text(int fd);

/// Writes until the descriptor takes no more.
void fill(int fd);

/// How many descriptors this process has open.
std::size_t count_open_descriptors();

}  // namespace rondo
