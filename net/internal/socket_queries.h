// SPDX-License-Identifier: MIT
#pragma once

#include "net/address.h"
#include "reactor/kernel.h"

namespace rondo::detail {

/// Throws std::invalid_argument unless `fd` is a stream socket,
/// std::system_error if it is no socket at all.
void check_stream_socket(Kernel& kernel, int fd);

/// Whom `fd` is connected to; none, with errno, if nobody or not known.
Address peername_of(Kernel& kernel, int fd);
/// What `fd` is bound to; none, with errno, if that cannot be said.
Address sockname_of(Kernel& kernel, int fd);

/// A Unix socket at `address` that nobody listens on any more would be in the
/// way of bind(2): removes it. `type` is what is to be bound. Does nothing for
/// other addresses, and to what is no socket, or is alive.
void remove_stale_socket(Kernel& kernel, const Address& address, int type);

}  // namespace rondo::detail
