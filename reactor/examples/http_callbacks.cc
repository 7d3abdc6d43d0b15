// SPDX-License-Identifier: MIT
//
// A web server made of callbacks alone: what `make run` starts.
//
//     http_callbacks [PORT [BLOCK_SECONDS [IDLE_SECONDS]]]
//
// /block is answered after 10 seconds and holds nobody up meanwhile; every
// other path is answered at once. Connections are kept alive, requests may
// come in pieces or several at a time, answers are written as the client
// takes them. Ctrl-C ends it and prints what the loop has done.
//
// Runs until stopped.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "reactor/event_loop.h"
#include "reactor/unique_fd.h"

using namespace std::chrono_literals;
using std::string_view;

namespace {

// ---- HTTP, as little of it as will do --------------------------------------
//
// Strict rather than complete: what it does not understand it refuses, and a
// refusal ends the connection, so that no mistake in here can take one request
// for two. A real parser comes with net/http/.

constexpr std::size_t kHeadMax = 8 * 1024;

struct Request {
  std::size_t head_size = 0;  // bytes taken so far
  bool body_wanted = true;    // not for HEAD
  bool block = false;
  bool keep_alive = false;
  const char* refusal = nullptr;  // the status to refuse it with
};

bool is_token(string_view text) {
  constexpr string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) || kMarks.find(static_cast<char>(c)) != text.npos;
  });
}

void take_request_line(string_view line, Request& request) {
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  const string_view method = line.substr(0, first);
  const string_view target =
      first < last ? line.substr(first + 1, last - first - 1) : "";
  const string_view version = line.substr(last + 1);
  if (!is_token(method) || target.empty() ||
      target.find_first_of(" \t") != target.npos ||
      !version.starts_with("HTTP/")) {
    request.refusal = "400 Bad Request";
  } else if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    request.refusal = "505 HTTP Version Not Supported";
  } else if (method != "GET" && method != "HEAD") {
    request.refusal = "405 Method Not Allowed";
  }
  request.body_wanted = method != "HEAD";
  request.block = target == "/block";
  request.keep_alive = version == "HTTP/1.1";
}

void take_header(string_view line, Request& request) {  // in lower case
  const std::size_t colon = line.find(':');
  const string_view name = line.substr(0, colon);
  if (colon == line.npos || !is_token(name)) {
    request.refusal = "400 Bad Request";
    return;
  }
  string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  value = value.substr(0, value.find_last_not_of(" \t") + 1);
  if (name == "connection" && value.find("close") != value.npos) {
    request.keep_alive = false;
  } else if (name == "content-length" && value != "0") {
    // No answer here depends on a body, so none is taken.
    const bool number =
        !value.empty() && value.find_first_not_of("0123456789") == value.npos;
    request.refusal = number ? "413 Content Too Large" : "400 Bad Request";
  } else if (name == "transfer-encoding") {
    request.refusal = "501 Not Implemented";
  }
}

// ---- What all connections share --------------------------------------------

class Session;

struct Server {
  rondo::EventLoop& loop;
  double block_seconds, idle_seconds;
  unsigned long connections = 0, requests = 0;                      // so far
  std::unordered_map<int, std::unique_ptr<Session>> sessions = {};  // by fd
};

// ---- One connection --------------------------------------------------------

/// Owns its descriptor and its timers: when it goes, so do they, and no
/// callback of it can run any more.
///
/// Who ends it? Not its own steps: they are methods, and would pull the floor
/// from under their feet. A step answers whether the session goes on, and the
/// callback around it has the server destroy the session as the very last
/// thing. That destroys the callback while it runs, too, which is allowed: the
/// loop keeps what it is running until it has returned.
class Session {
 public:
  Session(Server& server, rondo::UniqueFd fd)
      : server_(server),
        fd_(std::move(fd)),
        idle_(server.loop.call_later(server.idle_seconds,
                                     callback(&Session::end))),
        idle_owner_(idle_) {
    wait_for(/*readable=*/true, /*writable=*/false);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { wait_for(false, false); }  // before fd_ is closed

 private:
  enum class State {
    kReading,   // requests are taken as they come
    kBlocked,   // /block waits, and what comes meanwhile waits behind it
    kClosing,   // the last answer is being written
    kDraining,  // it is written; what still comes is thrown away
  };

  rondo::Callback callback(bool (Session::*step)()) {
    return [this, step] {
      if (!(this->*step)()) server_.sessions.erase(fd_.get());
    };
  }

  bool on_readable() {
    char chunk[16 * 1024];
    const ssize_t size = ::recv(fd_.get(), chunk, sizeof chunk, 0);
    if (size < 0) return errno == EAGAIN;
    if (state_ == State::kDraining) return size > 0;
    in_.append(chunk, static_cast<std::size_t>(size));
    if (size == 0) {
      // Gone, or only finished with asking: it looks the same from here. All
      // that it asked is answered, but for a /block that still waits.
      if (state_ == State::kBlocked) return false;
      if (in_.empty() && request_.head_size == 0) return false;
      refuse("400 Bad Request");
    }
    return go_on();
  }

  bool on_block_over() {
    state_ = State::kReading;
    answer("200 OK", "<h1>Are you block?</h1>");
    return go_on();
  }

  bool end() { return false; }

  /// Answers what has come, writes what the client takes, and asks the loop
  /// for what is needed next.
  bool go_on() {
    while (state_ == State::kReading && take_line()) {
    }
    in_.erase(0, std::exchange(taken_, 0));
    if (!out_.empty() && !write_some()) return false;
    if (out_.empty() && state_ == State::kClosing) {
      // To close now could lose the answer: TCP resets a connection that is
      // closed with unread data. So say that we have finished, and give the
      // client a moment to close.
      ::shutdown(fd_.get(), SHUT_WR);
      state_ = State::kDraining;
      in_.clear();
      stay(2);
    }
    // Who does not take answers may not ask, and nobody may ask without end.
    const bool writing = !out_.empty();
    wait_for(!writing && in_.size() < kHeadMax, writing);
    return true;
  }

  /// Takes the next line of a head. Returns false if it is not there yet.
  bool take_line() {
    const auto begin = in_.begin() + static_cast<std::ptrdiff_t>(taken_);
    const auto end = std::find_if(begin, in_.end(), [](unsigned char c) {
      return std::iscntrl(c) && c != '\t';
    });
    const string_view line(begin, end), rest(end, in_.end());
    const bool whole = rest.starts_with("\r\n");
    if (request_.head_size + line.size() > kHeadMax) {
      request_.refusal = "431 Request Header Fields Too Large";
    } else if (rest.empty() || rest == "\r") {
      return false;
    } else if (!rest.starts_with("\r\n")) {  // a bare line feed, a NUL...
      request_.refusal = "400 Bad Request";
    } else if (request_.head_size == 0) {
      take_request_line(line, request_);
    } else if (line.empty()) {
      taken_ += 2;
      take_request();
      return true;
    } else {
      for (char& c : ...) take_header(line, request_);
    }
    taken_ += line.size() + 2;
    request_.head_size += line.size() + 2;
    if (request_.refusal != nullptr) refuse(request_.refusal);
    return true;
  }
