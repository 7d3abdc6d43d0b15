// SPDX-License-Identifier: MIT
//
// A web server made of callbacks alone, with nothing above the reactor.
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
    request.keep_alive = false;  // to take a near miss for it does no harm
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
/// from under their feet. A step answers whether the session goes on. The
/// callback around it takes the session out of the server for that time and
/// gives it back only then; otherwise, if the step throws too, it destroys the
/// session as the last thing it does. That cancels the very callback that
/// runs, which is allowed: the loop keeps it until it has returned.
class Session {
 public:
  Session(Server& server, rondo::UniqueFd fd)
      : server_(server),
        fd_(std::move(fd)),
        idle_(server.loop.call_later(server.idle_seconds,
                                     callback(&Session::end))) {
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
      auto self = server_.sessions.extract(fd_.get());
      if ((this->*step)()) server_.sessions.insert(std::move(self));
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
    // Who does not take answers may not ask, nor without end behind a /block.
    const bool writing = !out_.empty();
    const bool full = state_ == State::kBlocked && in_.size() >= kHeadMax;
    wait_for(!writing && !full, writing);
    return true;
  }

  /// Takes the next line of a head. Returns false if it is not there yet.
  bool take_line() {
    const auto begin = in_.begin() + static_cast<std::ptrdiff_t>(taken_);
    const auto end = std::find_if(begin, in_.end(), [](unsigned char c) {
      return std::iscntrl(c) && c != '\t';
    });
    const string_view line(begin, end), rest(end, in_.end());
    if (request_.head_size + line.size() > kHeadMax) {
      return refuse("431 Request Header Fields Too Large");
    }
    if (rest.empty() || rest == "\r") return false;
    if (!rest.starts_with("\r\n")) {  // a bare line feed, a NUL...
      return refuse("400 Bad Request");
    }
    if (request_.head_size == 0) {
      take_request_line(line, request_);
    } else if (!line.empty()) {
      std::transform(begin, end, begin, [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
      });
      take_header(line, request_);
    }
    taken_ += line.size() + 2;
    request_.head_size += line.size() + 2;
    if (request_.refusal != nullptr) return refuse(request_.refusal);
    if (line.empty()) take_request();
    return true;
  }

  void take_request() {
    if (!request_.block) return answer("200 OK", "<h1>hello world</h1>");
    state_ = State::kBlocked;
    block_ = server_.loop.call_later(server_.block_seconds,
                                     callback(&Session::on_block_over));
    stay(server_.block_seconds + server_.idle_seconds);
  }

  bool refuse(const std::string& status) {
    request_.keep_alive = false;
    answer(status, "<h1>" + status + "</h1>");
    return true;
  }

  void answer(string_view status, string_view body) {
    ++server_.requests;
    out_.append("HTTP/1.1 ").append(status);
    out_.append("\r\nContent-Type: text/html\r\nContent-Length: ");
    out_.append(std::to_string(body.size()));
    if (status.starts_with("405")) out_.append("\r\nAllow: GET, HEAD");
    if (!request_.keep_alive) out_.append("\r\nConnection: close");
    out_.append("\r\n\r\n").append(request_.body_wanted ? body : "");
    if (!request_.keep_alive) state_ = State::kClosing;
    request_ = Request();
  }

  /// Returns false if the client is gone.
  bool write_some() {
    // MSG_NOSIGNAL: a client that is gone is an error here, not a SIGPIPE.
    const ssize_t size =
        ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN;
    out_.erase(0, static_cast<std::size_t>(size));
    if (state_ != State::kBlocked) stay(server_.idle_seconds);
    return true;
  }

  /// Tells the loop, if that is news: while requests are answered at once it
  /// is not, and costs no system call.
  void wait_for(bool readable, bool writable) {
    rondo::EventLoop& loop = server_.loop;
    const int fd = fd_.get();
    const bool was_readable = std::exchange(readable_, readable);
    const bool was_writable = std::exchange(writable_, writable);
    if (readable && !was_readable) {
      loop.add_reader(fd, callback(&Session::on_readable));
    }
    if (writable && !was_writable) {
      loop.add_writer(fd, callback(&Session::go_on));
    }
    if (!readable && was_readable) loop.remove_reader(fd);
    if (!writable && was_writable) loop.remove_writer(fd);
  }

  /// The client has this long from now to do something of use.
  void stay(double seconds) {
    const rondo::Delay delay(seconds);
    idle_->reschedule(server_.loop.time() + delay.value());
  }

  Server& server_;
  const rondo::UniqueFd fd_;
  State state_ = State::kReading;
  Request request_;        // as far as it is taken
  std::string in_;         // what has come...
  std::size_t taken_ = 0;  // ... and how much of it is taken
  std::string out_;        // what is to be written
  bool readable_ = false;  // what the loop was asked for
  bool writable_ = false;
  rondo::ScopedHandle block_;
  rondo::ScopedTimerHandle idle_;
};

// ---- The listening socket --------------------------------------------------

class Listener {
 public:
  Listener(Server& server, int port) : server_(server) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!fd_ || !set(SOL_SOCKET, SO_REUSEADDR) ||
        !set(IPPROTO_TCP, TCP_NODELAY) ||  // handed down to what is accepted
        ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address),
               sizeof address) < 0 ||
        ::listen(fd_.get(), SOMAXCONN) < 0) {
      const std::error_code error(errno, std::system_category());
      throw std::system_error(
          error, "cannot listen on 127.0.0.1:" + std::to_string(port));
    }
    listen();
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { server_.loop.remove_reader(fd_.get()); }

  int port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

 private:
  bool set(int level, int option) {
    const int on = 1;
    return ::setsockopt(fd_.get(), level, option, &on, sizeof on) == 0;
  }

  void listen() {
    server_.loop.add_reader(fd_.get(), [this] { accept_some(); });
  }

  void accept_some() {
    for (int budget = 64; budget > 0; --budget) {  // then others have a turn
      const int fd =
          ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        ++server_.connections;
        server_.sessions[fd] =
            std::make_unique<Session>(server_, rondo::UniqueFd(fd));
      } else if (errno == EAGAIN) {
        paused_ = false;  // nobody waits any more
        return;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                 errno == ENOMEM) {
        return pause(errno);
      }  // any other concerns that one client (accept(2)): the next, please
    }
  }

  /// No descriptor is to be had, most likely, and the listener stays readable:
  /// to go on would be to spin.
  void pause(int error) {
    if (!std::exchange(paused_, true)) {
      std::fprintf(stderr, "cannot accept: %s; trying again every 100 ms\n",
                   std::generic_category().message(error).c_str());
    }
    server_.loop.remove_reader(fd_.get());
    resume_ = server_.loop.call_later(100ms, [this] { resume(); });
  }

  void resume() {
    try {
      listen();
    } catch (const std::system_error& error) {
      pause(error.code().value());
    }
  }

  Server& server_;
  const rondo::UniqueFd fd_{
      ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  bool paused_ = false;
  rondo::ScopedHandle resume_;
};

// ---- The program -----------------------------------------------------------

double number(const char* text, double most) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= 0 && value <= most)) {
    throw std::invalid_argument("not a number that makes sense here: " +
                                std::string(text));
  }
  return value;
}

void serve(int port, double block_seconds, double idle_seconds) {
  rondo::EventLoop loop;
  Server server{loop, block_seconds, idle_seconds};
  Listener listener(server, port);
  for (const int signal : {SIGINT, SIGTERM}) {
    loop.add_signal_handler(signal, [&] { loop.stop(); });
  }
  std::printf("Serving on 127.0.0.1:%d\n", listener.port());
  std::printf("  curl http://127.0.0.1:%d/\n", listener.port());
  std::printf("  curl http://127.0.0.1:%d/block    (takes %g s; try / now)\n",
              listener.port(), block_seconds);
  std::fflush(stdout);
  loop.run_forever();
  std::printf("\n%lu requests on %lu connections\n%s\n", server.requests,
              server.connections, to_string(loop.stats()).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  // A descriptor for each client: of the limit that others set, use all.
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  try {
    serve(argc > 1 ? static_cast<int>(number(argv[1], 65535)) : 8888,
          argc > 2 ? number(argv[2], 1e6) : 10,
          argc > 3 ? number(argv[3], 1e6) : 60);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "http_callbacks: %s\n", error.what());
    return 1;
  }
}
