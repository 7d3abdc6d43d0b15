// SPDX-License-Identifier: MIT
#include "net/internal/read_pipe_transport.h"

#include <cerrno>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/internal/system_error.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"

namespace rondo::detail {

namespace {

[[noreturn]] void refuse_to_write() {
  throw RuntimeError("a reading pipe transport cannot write");
}

}  // namespace

std::shared_ptr<ReadPipeTransport> ReadPipeTransport::create(
    EventLoop& loop, UniqueFd pipe, std::shared_ptr<BaseProtocol> protocol,
    Future<void> made) {
  auto transport = std::make_shared<ReadPipeTransport>(loop, std::move(pipe));
  transport->set_protocol(std::move(protocol));
  transport->begin_soon(transport, std::move(made));
  return transport;
}

void ReadPipeTransport::set_protocol(std::shared_ptr<BaseProtocol> protocol) {
  if (is_over()) return;
  auto* stream = dynamic_cast<class Protocol*>(protocol.get());
  auto* buffered = dynamic_cast<BufferedProtocol*>(protocol.get());
  if (stream == nullptr && buffered == nullptr) {
    throw std::invalid_argument(
        protocol == nullptr
            ? "set_protocol: no protocol"
            : "set_protocol: neither a Protocol nor a BufferedProtocol");
  }
  stream_protocol_ = stream;
  buffered_protocol_ = buffered;
  std::swap(protocol_, protocol);  // the old one may be what calls this
}

void ReadPipeTransport::forget_protocol() noexcept {
  stream_protocol_ = nullptr;
  buffered_protocol_ = nullptr;
}

void ReadPipeTransport::start() {
  has_begun_ = true;
  if (reads_ || !is_reading()) return;
  try {
    loop_.add_reader(pipe_.get(), [this] { on_readable(); });
    reads_ = true;
  } catch (...) {
    fail("Fatal error: the pipe cannot be watched", std::current_exception());
  }
}

void ReadPipeTransport::stop() noexcept {
  if (std::exchange(reads_, false)) loop_.remove_reader(pipe_.get());
}

void ReadPipeTransport::pause_reading() {
  if (!is_reading()) return;
  is_paused_ = true;
  stop();
}

void ReadPipeTransport::resume_reading() {
  if (!is_open() || !is_paused_) return;
  is_paused_ = false;
  if (has_begun_) start();
}

void ReadPipeTransport::on_readable() {
  if (is_ending()) return;
  if (stream_protocol_ != nullptr) {
    read_into_shared();
  } else {
    read_into_protocols();
  }
}

void ReadPipeTransport::read_into_shared() {
  char* const memory = net_.read_buffer();
  const ssize_t size = kernel().read(pipe_.get(), memory, NetState::kReadBytes);
  if (!has_read(size)) return;
  const std::string_view data(memory, static_cast<std::size_t>(size));
  tell("Fatal error: protocol.data_received() call failed.",
       [&] { stream_protocol_->data_received(data); });
}

void ReadPipeTransport::read_into_protocols() {
  BufferedProtocol* const reader = buffered_protocol_;
  std::span<char> memory;
  if (!tell("Fatal error: protocol.get_buffer() call failed.", [&] {
        memory = reader->get_buffer(NetState::kReadBytes);
        if (memory.empty()) {
          throw RuntimeError("get_buffer() returned an empty buffer");
        }
      })) {
    return;
  }
  if (buffered_protocol_ != reader) return;  // it has set another
  const ssize_t size = kernel().read(pipe_.get(), memory.data(), memory.size());
  if (!has_read(size)) return;
  tell("Fatal error: protocol.buffer_updated() call failed.",
       [&] { reader->buffer_updated(static_cast<std::size_t>(size)); });
}

bool ReadPipeTransport::has_read(ssize_t size) {
  if (size > 0) [[likely]]
    return true;
  if (size == 0) {
    on_end_of_stream();
  } else if (!would_block(errno)) {
    // EIO: a terminal whose other side is gone.
    fail("Fatal read error on pipe transport", "read", errno);
  }
  return false;
}

/// Nobody could be answered, so what eof_received() says does not matter.
void ReadPipeTransport::on_end_of_stream() {
  set_closing();
  stop();
  // Even if it leaves the loop.
  struct Ends {
    ~Ends() { transport.end_soon(nullptr); }
    ReadPipeTransport& transport;
  } const ends{*this};
  tell("Fatal error: protocol.eof_received() call failed.", [&] {
    if (stream_protocol_ != nullptr) {
      stream_protocol_->eof_received();
    } else {
      buffered_protocol_->eof_received();
    }
  });
}

void ReadPipeTransport::write(std::string_view data) {
  static_cast<void>(data);
  refuse_to_write();
}

void ReadPipeTransport::write_eof() { refuse_to_write(); }

void ReadPipeTransport::set_write_buffer_limits(
    std::optional<std::size_t> high, std::optional<std::size_t> low) {
  static_cast<void>(high);
  static_cast<void>(low);
  refuse_to_write();
}

void ReadPipeTransport::set_write_buffer_cap(std::size_t bytes) {
  static_cast<void>(bytes);
  refuse_to_write();
}

std::string ReadPipeTransport::description() const {
  return "<_UnixReadPipeTransport" + state(reads_) + ">";
}

}  // namespace rondo::detail
