// SPDX-License-Identifier: MIT
#include "net/internal/datagram_batch.h"

namespace rondo::detail {

int DatagramBatch::receive(Kernel& kernel, int fd,
                           std::size_t bytes_max) noexcept {
  const auto count = static_cast<unsigned>(kMost * kUdpBytes / bytes_max);
  for (unsigned i = 0; i < count; ++i) {
    pieces_[i] = {memory_.get() + i * bytes_max, bytes_max};
    messages_[i] = {};
    ::msghdr& header = messages_[i].msg_hdr;
    header.msg_name = &addresses_[i];
    header.msg_namelen = sizeof addresses_[i];
    header.msg_iov = &pieces_[i];
    header.msg_iovlen = 1;
  }
  // It does not wait for the socket to have so many: it gives what is there.
  return kernel.recvmmsg(fd, messages_, count, MSG_DONTWAIT);
}

}  // namespace rondo::detail
