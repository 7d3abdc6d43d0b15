// SPDX-License-Identifier: MIT
#include "net/pipe.h"

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/internal/read_pipe_transport.h"
#include "net/internal/write_pipe_transport.h"

namespace rondo {

namespace detail {

ConnectPipe::ConnectPipe(ProtocolFactory factory, UniqueFd pipe, End end)
    : factory_(std::move(factory)), pipe_(std::move(pipe)), end_(end) {
  if (!pipe_) throw std::invalid_argument("connect_pipe: no pipe");
}

ConnectPipe::ConnectPipe(ConnectPipe&&) noexcept = default;

ConnectPipe::~ConnectPipe() {
  if (connection_.transport != nullptr) connection_.transport->abort();
}

Step ConnectPipe::step(Resumption& resumption) {
  resumption.check();
  if (!made_) {
    make(resumption.loop());
    return Step::wait(made_);
  }
  made_.result();
  return Step::done();
}

void ConnectPipe::make(EventLoop& loop) {
  Kernel& kernel = NetState::of(loop).kernel();
  const bool reads = end_ == End::kReading;
  const unsigned kind = PipeTransport::kind_of(kernel, pipe_.get());
  if (kind == 0) {
    throw std::invalid_argument(
        reads ? "Pipe transport is for pipes/sockets only."
              : "Pipe transport is only for pipes, "
                "sockets and character devices");
  }
  if (kernel.set_blocking(pipe_.get(), false) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "fcntl(O_NONBLOCK) of a pipe");
  }
  connection_.protocol = factory_();
  made_ = Future<void>(loop);
  if (reads) {
    connection_.transport = ReadPipeTransport::create(
        loop, std::move(pipe_), connection_.protocol, made_);
  } else {
    connection_.transport = WritePipeTransport::create(
        loop, std::move(pipe_), kind, connection_.protocol, made_);
  }
}

Connection ConnectPipe::result() {
  return std::exchange(connection_, Connection());
}

}  // namespace detail

ConnectReadPipe connect_read_pipe(ProtocolFactory factory, UniqueFd pipe) {
  return ConnectReadPipe(std::move(factory), std::move(pipe));
}

ConnectWritePipe connect_write_pipe(ProtocolFactory factory, UniqueFd pipe) {
  return ConnectWritePipe(std::move(factory), std::move(pipe));
}

}  // namespace rondo
