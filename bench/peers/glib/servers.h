// SPDX-License-Identifier: MIT
#pragma once

#include "bench/peers/worker.h"

namespace glib {

/// The echo servers: `glib` by sources of descriptors, `gio` by GIO's streams.
void add_servers(peers::Program& program);

}  // namespace glib
