// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "net/internal/net_state.h"
#include "net/internal/protocol_call.h"
#include "net/internal/transport_life.h"
#include "net/transport.h"
#include "reactor/unique_fd.h"

namespace rondo::detail {

/// What the two ends of a pipe have in common beside their life: a descriptor,
/// and what happens to what a protocol throws.
class PipeTransport : public Transport, protected TransportLife {
 public:
  void abort() override { force_close(nullptr); }
  bool is_closing() const noexcept override { return !is_open(); }

  EventLoop& loop() const noexcept override { return loop_; }
  std::shared_ptr<BaseProtocol> get_protocol() const override {
    return protocol_;
  }
  int fd() const noexcept override { return pipe_.get(); }
  const Address& peername() const override;
  const Address& sockname() const override;
  std::string get_extra_info(std::string_view name,
                             std::string otherwise) const override;

  /// What `pipe` is, of the kinds that can be a transport: S_IFIFO, S_IFSOCK
  /// or S_IFCHR; zero if it is another.
  static unsigned kind_of(Kernel& kernel, int pipe);

 protected:
  PipeTransport(EventLoop& loop, UniqueFd pipe);
  ~PipeTransport() override = default;

  void discard() noexcept override {}
  /// Forgets who is called.
  virtual void forget_protocol() noexcept {}

  Kernel& kernel() const noexcept { return net_.kernel(); }

  /// Calls `callback`, which calls the protocol; what that throws ends the
  /// connection, and the exception handler hears `message`.
  template <class Callback>
  bool tell(const char* message, Callback&& callback) {
    const std::shared_ptr<BaseProtocol> keep = protocol_;
    return guarded(callback, [&](const std::exception_ptr& error) {
      fail(message, error);
    });
  }
  /// `fd=7 polling`, with ` closing` or the like before.
  std::string state(bool is_polling) const;

  NetState& net_;
  UniqueFd pipe_;
  std::shared_ptr<BaseProtocol> protocol_;

 private:
  void tell_made() override;
  void tell_lost(std::exception_ptr error) override;
  void let_go() noexcept override;
  const char* asyncio_name() const noexcept override {
    return "_UnixPipeTransport";
  }
};

}  // namespace rondo::detail
