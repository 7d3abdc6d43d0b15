// SPDX-License-Identifier: MIT
#include "net/internal/socket_queries.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include "reactor/unique_fd.h"

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

namespace {

using Query = int (Kernel::*)(int, ::sockaddr*, unsigned*);

Address ask(Kernel& kernel, Query query, int fd) {
  ::sockaddr_storage storage;
  unsigned size = sizeof storage;
  auto* native = reinterpret_cast<::sockaddr*>(&storage);
  if ((kernel.*query)(fd, native, &size) != 0) return Address();
  return Address::from_native(native, size);
}

}  // namespace

Address peername_of(Kernel& kernel, int fd) {
  return ask(kernel, &Kernel::getpeername, fd);
}

Address sockname_of(Kernel& kernel, int fd) {
  return ask(kernel, &Kernel::getsockname, fd);
}

void remove_stale_socket(Kernel& kernel, const Address& address, int type) {
  if (address.family() != AF_UNIX) return;
  const std::string path = address.path();
  if (path.empty() || path.front() == '\0') return;
  struct ::stat found;
  if (::lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return;
  const UniqueFd probe(kernel.socket(AF_UNIX, type, 0), kernel);
  if (!probe) return;
  const bool is_dead = kernel.connect(probe.get(), address.native(),
                                      address.native_size()) != 0 &&
                       errno == ECONNREFUSED;
  if (is_dead) ::unlink(path.c_str());
}

}  // namespace rondo::detail
