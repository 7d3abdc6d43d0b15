// SPDX-License-Identifier: MIT
//
// Standalone asio: with callbacks ("asio"), with C++20 coroutines
// ("asio_coroutines"), and for soon without its locks ("asio_unlocked"), which
// its manual allows where no other thread ever touches the io_context.

#include <asio/version.hpp>
#include <string>

#include "bench/peers/asio/cases.h"
#include "bench/peers/worker.h"

int main(int argc, char** argv) {
  peers::Program program("asio " + std::to_string(ASIO_VERSION / 100'000) +
                         "." + std::to_string(ASIO_VERSION / 100 % 1'000) +
                         "." + std::to_string(ASIO_VERSION % 100));
  add_callbacks(program);
  add_coroutines(program);
  add_servers(program);
  return program.run(argc, argv);
}
