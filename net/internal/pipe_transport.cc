// SPDX-License-Identifier: MIT
#include "net/internal/pipe_transport.h"

#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "reactor/event_loop.h"

namespace rondo::detail {

namespace {

const Address kNoAddress;

}  // namespace

PipeTransport::PipeTransport(EventLoop& loop, UniqueFd pipe)
    : TransportLife(loop), net_(NetState::of(loop)), pipe_(std::move(pipe)) {}

unsigned PipeTransport::kind_of(Kernel& kernel, int pipe) {
  struct ::stat status{};
  if (kernel.fstat(pipe, &status) != 0) {
    throw std::system_error(errno, std::generic_category(), "fstat of a pipe");
  }
  const unsigned kind = status.st_mode & S_IFMT;
  return kind == S_IFIFO || kind == S_IFSOCK || kind == S_IFCHR ? kind : 0;
}

void PipeTransport::tell_made() {
  tell("Fatal error: protocol.connection_made() call failed.",
       [this] { protocol_->connection_made(*this); });
}

void PipeTransport::tell_lost(std::exception_ptr error) {
  const std::shared_ptr<BaseProtocol> keep = protocol_;  // it may set another
  keep->connection_lost(std::move(error));
}

void PipeTransport::let_go() noexcept {
  pipe_.reset();
  discard();
  forget_protocol();
  const std::shared_ptr<BaseProtocol> protocol = std::move(protocol_);
}

const Address& PipeTransport::peername() const { return kNoAddress; }

const Address& PipeTransport::sockname() const { return kNoAddress; }

std::string PipeTransport::get_extra_info(std::string_view name,
                                          std::string otherwise) const {
  return name == "pipe" && pipe_ ? std::to_string(pipe_.get()) : otherwise;
}

std::string PipeTransport::state(bool is_polling) const {
  const char* const polling = is_polling ? " polling" : " idle";
  return TransportLife::state() + (pipe_ ? polling : " closed");
}

}  // namespace rondo::detail
