// SPDX-License-Identifier: MIT
//
// load: asks a server on this machine, and checks all that it answers. It
// knows nothing of the library that it measures.
//
//   load --port P [--mode echo] [--connections C] [--bytes B] [--depth D]
//        [--spin]
//       Opens C connections, each with one message to and fro, and says
//       "begin". For each line on stdin it then runs and prints one line of
//       JSON (times in nanoseconds). A line is made of
//           seconds S   so long, or
//           messages N  so many;
//           rate R      R messages a second, sent at their times whether the
//                       answers come or not; latencies count from the time
//                       at which a message was to be sent. --spin: without
//                       sleeping meanwhile.
//       Without a rate each connection has D messages on their way.
//   load --mode accept: connects, reads one x and the end, closes, again
//   load --mode idle: opens them, holds them until a line comes
//   load --mode histogram: reads numbers, prints their percentiles
#include <sys/resource.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "bench/load/support.h"

namespace {

using load::Options;

Options parsed(int argc, char** argv) {
  Options options;
  for (int n = 1; n < argc; ++n) {
    const std::string name = argv[n];
    if (name == "--spin") {
      options.spin = true;
      continue;
    }
    if (++n == argc) load::fail(name + ": and then?");
    const std::string value = argv[n];
    if (name == "--mode") {
      options.mode = value;
    } else if (name == "--port") {
      options.port = static_cast<std::uint16_t>(std::stoul(value));
    } else if (name == "--connections") {
      options.connections = std::stoul(value);
    } else if (name == "--bytes") {
      options.bytes = std::stoul(value);
    } else if (name == "--depth") {
      options.depth = std::stoul(value);
    } else {
      load::fail(name + " is not known");
    }
  }
  if (options.connections == 0 || options.bytes == 0 || options.depth == 0) {
    load::fail("nothing to do");
  }
  return options;
}

void run_histogram() {
  load::Histogram histogram;
  for (std::int64_t value; std::cin >> value;) histogram.add(value);
  const load::Histogram none;
  load::print({histogram.count(), 0, 0, histogram, none});
}

}  // namespace

int main(int argc, char** argv) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const Options options = parsed(argc, argv);
  if (options.mode == "echo") {
    load::run_echo(options);
  } else if (options.mode == "accept") {
    load::run_accept(options);
  } else if (options.mode == "idle") {
    load::run_idle(options);
  } else if (options.mode == "histogram") {
    run_histogram();
  } else {
    load::fail("no mode " + options.mode);
  }
}
