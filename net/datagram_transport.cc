// SPDX-License-Identifier: MIT
#include "net/datagram_transport.h"

namespace rondo {

std::string DatagramTransport::get_extra_info(std::string_view name,
                                              std::string otherwise) const {
  if (name == "peername" && peername()) return to_string(peername());
  if (name == "sockname" && sockname()) return to_string(sockname());
  if (name == "socket" && fd() >= 0) return std::to_string(fd());
  return otherwise;
}

std::string to_string(const DatagramTransport& transport) {
  return transport.description();
}

}  // namespace rondo
