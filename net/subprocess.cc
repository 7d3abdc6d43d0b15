// SPDX-License-Identifier: MIT
#include "net/subprocess.h"

#include <signal.h>

#include <utility>

#include "net/internal/child_transport.h"
#include "net/internal/spawned_child.h"

namespace rondo {

void SubprocessTransport::terminate() { send_signal(SIGTERM); }

void SubprocessTransport::kill() { send_signal(SIGKILL); }

std::string to_string(const SubprocessTransport& transport) {
  return transport.description();
}

SubprocessExec::SubprocessExec(SubprocessProtocolFactory factory,
                               std::vector<std::string> argv,
                               SubprocessOptions options)
    : factory_(std::move(factory)),
      argv_(std::move(argv)),
      options_(std::move(options)) {
  detail::check_subprocess(argv_, options_);
}

SubprocessExec::SubprocessExec(SubprocessExec&&) noexcept = default;

SubprocessExec::~SubprocessExec() {
  if (subprocess_.transport != nullptr) subprocess_.transport->close();
}

Step SubprocessExec::step(Resumption& resumption) {
  resumption.check();
  if (made_) {
    made_.result();
    return Step::done();
  }
  made_ = Future<void>(resumption.loop());
  subprocess_.protocol = factory_();
  subprocess_.transport = detail::ChildTransport::create(
      resumption.loop(), argv_, options_, subprocess_.protocol, made_);
  return Step::wait(made_);
}

Subprocess SubprocessExec::result() {
  return std::exchange(subprocess_, Subprocess());
}

SubprocessExec subprocess_exec(SubprocessProtocolFactory factory,
                               std::vector<std::string> argv,
                               SubprocessOptions options) {
  return SubprocessExec(std::move(factory), std::move(argv),
                        std::move(options));
}

SubprocessExec subprocess_shell(SubprocessProtocolFactory factory,
                                std::string command,
                                SubprocessOptions options) {
  return SubprocessExec(std::move(factory),
                        argv("/bin/sh", "-c", std::move(command)),
                        std::move(options));
}

}  // namespace rondo
