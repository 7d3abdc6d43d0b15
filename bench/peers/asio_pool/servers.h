// SPDX-License-Identifier: MIT
#pragma once

namespace asio_pool {

/// How many threads run what there is.
constexpr int kThreads = 2;

/// An echo server, until the input ends: a strand a connection.
void serve();

}  // namespace asio_pool
