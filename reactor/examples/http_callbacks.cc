// SPDX-License-Identifier: MIT
//
// A web server of callbacks alone: what `make run` starts.
//
//     http_callbacks [PORT [BLOCK_SECONDS [IDLE_SECONDS]]]
//
// /block is answered after 10 seconds and holds nobody up meanwhile; every
// other path is answered at once. Connections are kept alive, requests may
// come in pieces or several at a time, answers are written as the client
// takes them. Ctrl-C ends it and prints what the loop has done.
//
// Runs until stopped.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "reactor/event_loop.h"
#include "reactor/unique_fd.h"

using namespace std::chrono_literals;
using rondo::EventLoop;
using rondo::ScopedHandle;
using rondo::TimerHandle;
using rondo::UniqueFd;

namespace {

// ---- HTTP, as little of it as will do --------------------------------------
//
// A head is taken line by line. What is not understood is refused and the
// connection closed, so that a mistake in here cannot take one request for
// two. The library's HTTP layer, on a real parser, is in net/http/.

constexpr std::size_t kHeadMax = 8 * 1024;

struct Request {
  std::size_t head_size = 0;  // bytes taken so far
  bool is_head = false;       // HEAD: the answer goes without its body
  bool is_block = false;
  bool keep_alive = false;
  const char* refusal = nullptr;  // the status to refuse it with
};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kTokenCharacters =
      "!#$%&'*+-.^_`|~0123456789"
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return !text.empty() &&
         text.find_first_not_of(kTokenCharacters) == std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void take_request_line(std::string_view line, Request& request) {
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  const std::string_view method = line.substr(0, first);
  if (first == last || !is_token(method)) {  // no blank, or only one
    request.refusal = "400 Bad Request";
    return;
  }
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  request.is_head = method == "HEAD";
  request.is_block = target == "/block";
  request.keep_alive = version == "HTTP/1.1";
  if (target.empty() || target.find_first_of(" \t") != target.npos ||
      !version.starts_with("HTTP/")) {
    request.refusal = "400 Bad Request";
  } else if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    request.refusal = "505 HTTP Version Not Supported";
  } else if (method != "GET" && method != "HEAD") {
    request.refusal = "405 Method Not Allowed";
  }
}

void take_header(std::string_view line, Request& request) {
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == line.npos || !is_token(name)) {
    request.refusal = "400 Bad Request";
    return;
  }
  std::string_view value = trimmed(line.substr(colon + 1));
  if (equal_ignoring_case(name, "Connection")) {
    while (!value.empty()) {
      const std::size_t comma = std::min(value.find(','), value.size());
      const std::string_view option = trimmed(value.substr(0, comma));
      if (equal_ignoring_case(option, "close")) request.keep_alive = false;
      value.remove_prefix(std::min(comma + 1, value.size()));
    }
  } else if (equal_ignoring_case(name, "Content-Length")) {
    // Nothing here needs a body, and one that is not read can be taken for
    // the next request.
    const bool is_number =
        !value.empty() && value.find_first_not_of("0123456789") == value.npos;
    if (!is_number) {
      request.refusal = "400 Bad Request";
    } else if (value.find_first_not_of('0') != value.npos) {
      request.refusal = "413 Content Too Large";
    }
  } else if (equal_ignoring_case(name, "Transfer-Encoding")) {
    request.refusal = "501 Not Implemented";
  }
}
