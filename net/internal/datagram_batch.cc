// SPDX-License-Identifier: MIT
#include "net/internal/datagram_batch.h"

namespace rondo::detail {

int DatagramBatch::receive(Kernel& kernel, int fd,
                           std::size_t bytes_max) noexcept {
  if (bytes_max != bytes_max_) {
    bytes_max_ = bytes_max;
    used_ = count();
  }
  for (unsigned i = 0; i < used_; ++i) prepare(i);
  // It does not wait for the socket to have so many: it gives what is there.
  const int received = kernel.recvmmsg(fd, messages_, count(), MSG_DONTWAIT);
  used_ = received < 0 ? count() : static_cast<unsigned>(received);
  return received;
}

/// What the last call has written over.
void DatagramBatch::prepare(unsigned i) noexcept {
  pieces_[i] = {memory_.get() + i * bytes_max_, bytes_max_};
  messages_[i] = {};
  ::msghdr& header = messages_[i].msg_hdr;
  header.msg_name = &addresses_[i];
  header.msg_namelen = sizeof addresses_[i];
  header.msg_iov = &pieces_[i];
  header.msg_iovlen = 1;
}

}  // namespace rondo::detail
