// SPDX-License-Identifier: MIT
#include "net/internal/stream_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace rondo::detail {

void check_stream_socket(Kernel& kernel, int fd) {
  int type = 0;
  unsigned size = sizeof type;
  if (kernel.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "SO_TYPE of fd " + std::to_string(fd));
  }
  if (type != SOCK_STREAM) {
    throw std::invalid_argument("A Stream Socket was expected, got fd " +
                                std::to_string(fd) + " of type " +
                                std::to_string(type));
  }
}

}  // namespace rondo::detail
