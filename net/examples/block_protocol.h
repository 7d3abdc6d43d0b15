// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "futures/coro/coro.h"
#include "futures/sleep.h"
#include "net/examples/python_text.h"
#include "net/protocol.h"
#include "net/transport.h"

/// A tiny web server: /block is answered late, all else at once, and nobody
/// waits for another. Each segment that comes is taken for a request, as a
/// browser or curl sends it; net/http/ will know better.
class BlockProtocol : public rondo::Protocol {
 public:
  /// `block_seconds`: how long /block takes.
  explicit BlockProtocol(double block_seconds)
      : block_seconds_(block_seconds) {}

  void connection_made(rondo::Transport& transport) override {
    std::printf("Connection from %s\n",
                to_string(transport.peername()).c_str());
    transport_ = transport.shared_from_this();
  }

  void data_received(std::string_view data) override {
    const std::string_view url = match_url(data);
    std::printf("GET %s\n", python::repr(url).c_str());
    if (url == "/block") {
      rondo::create_task(
          respond_after(transport_, "<h1>Are you block?</h1>", block_seconds_));
    } else {
      rondo::create_task(respond(transport_, "<h1>hello world</h1>"));
    }
  }

 private:
  using TransportPtr = std::shared_ptr<rondo::Transport>;

  /// re.match(b'GET (.*) HTTP/1.1', data).group(1). A dot is any byte but a
  /// line feed, so `HTTP/1x1` will do, and the last of several counts. Throws
  /// where None has no group; that ends the connection.
  static std::string_view match_url(std::string_view data) {
    const std::string_view line = data.substr(0, data.find('\n'));
    for (std::size_t end = line.size();
         line.starts_with("GET ") && end-- > 4;) {
      const std::string_view rest = line.substr(end);
      if (rest.size() >= 9 && rest.starts_with(" HTTP/1") && rest[8] == '1') {
        return line.substr(4, end - 4);
      }
    }
    throw std::invalid_argument("not a GET request");
  }

  // Static, and with a transport of their own: the protocol may be gone before
  // they are done.

  static rondo::Coro<> respond(TransportPtr transport, const char* content) {
    transport->write("HTTP/1.1 200 OK\r\n");
    transport->write("Content-Type: text/html\r\n");
    transport->write("\r\n");
    transport->write(content);
    transport->write("\r\n");
    transport->close();
    co_return;
  }

  static rondo::Coro<> respond_after(TransportPtr transport,
                                     const char* content, double delay) {
    co_await rondo::sleep(delay);
    co_await respond(transport, content);
  }

  const double block_seconds_;
  TransportPtr transport_;
};
