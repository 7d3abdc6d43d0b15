// SPDX-License-Identifier: MIT
#include "net/transport.h"

namespace rondo {

void Transport::writelines(std::span<const std::string_view> pieces) {
  for (const std::string_view piece : pieces) write(piece);
}

std::string Transport::get_extra_info(std::string_view name,
                                      std::string otherwise) const {
  if (name == "peername" && peername()) return to_string(peername());
  if (name == "sockname" && sockname()) return to_string(sockname());
  if (name == "socket" && fd() >= 0) return std::to_string(fd());
  return otherwise;
}

std::string to_string(const Transport& transport) {
  return transport.description();
}

}  // namespace rondo
