// SPDX-License-Identifier: MIT
#include "bench/load/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>

namespace load {

void fail(const std::string& message) {
  std::fprintf(stderr, "load: FAILED: %s\n", message.c_str());
  std::exit(1);
}

void fail_errno(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

std::int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

int connect_to(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail_errno("socket (ulimit -n?)");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const auto* native = reinterpret_cast<const sockaddr*>(&address);
  if (connect(fd, native, sizeof address) != 0) fail_errno("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

void say_begin() {
  std::puts("begin");
  std::fflush(stdout);
}

bool next_order(Order& order) {
  std::string line;
  if (!std::getline(std::cin, line)) return false;
  order = {};
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word == "seconds") words >> order.seconds;
    if (word == "messages") words >> order.messages;
    if (word == "rate") words >> order.rate;
    if (!words) fail("not understood: " + line);
  }
  return true;
}

void print(const Report& report) {
  const Histogram& latency = report.latency;
  const auto at = [&](double percent) {
    return static_cast<unsigned long long>(latency.percentile(percent));
  };
  std::printf(
      "{\"messages\": %llu, \"bytes\": %llu, \"seconds\": %.9f, "
      "\"p50\": %llu, \"p99\": %llu, \"p99_9\": %llu, \"max\": %llu, "
      "\"late_p99\": %llu, \"buckets\": [",
      static_cast<unsigned long long>(report.messages),
      static_cast<unsigned long long>(report.bytes),
      static_cast<double>(report.took_ns) / 1e9, at(50), at(99), at(99.9),
      at(100), static_cast<unsigned long long>(report.late.percentile(99)));
  const char* comma = "";
  latency.each([&](std::uint64_t middle, std::uint64_t count) {
    std::printf("%s[%llu, %llu]", comma,
                static_cast<unsigned long long>(middle),
                static_cast<unsigned long long>(count));
    comma = ", ";
  });
  std::puts("]}");
  std::fflush(stdout);
}

}  // namespace load
