// SPDX-License-Identifier: MIT
#include "reactor/testing/scripted_kernel.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>

namespace rondo {
namespace {

constexpr const char* kNames[] = {
    "epoll_create1",
    "epoll_ctl(ADD)",
    "epoll_ctl(MOD)",
    "epoll_ctl(DEL)",
    "epoll_wait",
    "epoll_pwait2",
    "eventfd",
    "read",
    "write",
    "close",
    "dup3",
    "sigaction",
    "clock_gettime",
    "clock_nanosleep",
    "pthread_create",
    "poll",
    "socketpair",
    "recv",
    "send",
    "fork",
    "pidfd_open",
    "pidfd_send_signal",
    "waitid",
    "kill",
    "pthread_sigmask",
    "prctl",
    "fcntl",
    "socket",
    "bind",
    "listen",
    "accept4",
    "connect",
    "shutdown",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "sendmsg",
    "recvfrom",
    "sendto",
    "recvmmsg",
    "sendmmsg",
    "sendfile",
    "pipe2",
    "pread",
    "fstat",
    "fcntl(F_SETFL)",
    "posix_spawnp",
};

KernelCall call_of(int operation) {
  switch (operation) {
    case EPOLL_CTL_ADD:
      return KernelCall::kEpollAdd;
    case EPOLL_CTL_MOD:
      return KernelCall::kEpollModify;
    default:
      return KernelCall::kEpollRemove;
  }
}

}  // namespace

const char* to_string(KernelCall call) noexcept {
  return kNames[static_cast<int>(call)];
}

// -- the script --------------------------------------------------------------

void ScriptedKernel::fail(KernelCall call, int error_number, When when) {
  Script& script = scripts_[static_cast<int>(call)];
  script.last = 0;  // nothing fails while the script changes
  script.first = script.calls + when.from_call;
  script.error_number = error_number;
  const std::uint64_t last = script.first + (when.times - 1);
  script.last = last < script.first ? kForever : last;
}

void ScriptedKernel::fail(KernelCall call, int error_number) {
  fail(call, error_number, When{});
}

void ScriptedKernel::stop_failing() {
  for (Script& script : scripts_) script.last = 0;
}

void ScriptedKernel::shorten(KernelCall call, std::size_t bytes_max) {
  scripts_[static_cast<int>(call)].bytes_max = bytes_max;
}

std::size_t ScriptedKernel::shortened(KernelCall call,
                                      std::size_t size) const noexcept {
  const std::size_t most = scripts_[static_cast<int>(call)].bytes_max;
  return most == 0 ? size : std::min(size, most);
}

int ScriptedKernel::scripted(KernelCall call) noexcept {
  Script& script = scripts_[static_cast<int>(call)];
  const std::uint64_t number = ++script.calls;
  if (number < script.first || number > script.last) return 0;
  ++failures_;
  return script.error_number;
}

bool ScriptedKernel::fails(KernelCall call) noexcept {
  const int error = scripted(call);
  if (error != 0) errno = error;
  return error != 0;
}

std::uint64_t ScriptedKernel::calls(KernelCall call) const {
  return scripts_[static_cast<int>(call)].calls;
}

std::uint64_t ScriptedKernel::failures() const { return failures_; }

// -- the ledger --------------------------------------------------------------

void ScriptedKernel::opened(int fd) noexcept {
  if (fd < 0) return;
  const detail::MutexLock lock(mutex_);
  const auto place = std::lower_bound(open_.begin(), open_.end(), fd);
  if (place == open_.end() || *place != fd) {
    open_.insert(place, fd);
  } else {
    ledger_errors_.push_back("fd " + std::to_string(fd) +
                             " was opened again: somebody else closed it");
  }
}

std::vector<int> ScriptedKernel::open_descriptors() const {
  const detail::MutexLock lock(mutex_);
  return open_;
}

std::vector<std::string> ScriptedKernel::ledger_errors() const {
  const detail::MutexLock lock(mutex_);
  return ledger_errors_;
}

int ScriptedKernel::close(int fd) noexcept {
  const bool failed = fails(KernelCall::kClose);
  {
    const detail::MutexLock lock(mutex_);
    const auto place = std::lower_bound(open_.begin(), open_.end(), fd);
    if (place != open_.end() && *place == fd) {
      open_.erase(place);
    } else {
      ledger_errors_.push_back("fd " + std::to_string(fd) +
                               " was closed but is not open here");
    }
  }
  const int answer = below_.close(fd);
  if (failed)
    errno = scripts_[static_cast<int>(KernelCall::kClose)].error_number;
  return failed ? -1 : answer;
}

// -- the spin detector -------------------------------------------------------

void ScriptedKernel::waited(bool may_sleep, int answer) noexcept {
  const detail::MutexLock lock(mutex_);
  const bool idle = may_sleep && answer <= 0;
  idle_wakeups_ = idle ? idle_wakeups_ + 1 : 0;
  idle_wakeups_max_ = std::max(idle_wakeups_max_, idle_wakeups_);
  spins_ = answer > 0 ? spins_ + 1 : 0;
  spins_max_ = std::max(spins_max_, spins_);
}

void ScriptedKernel::callback_ran() {
  const detail::MutexLock lock(mutex_);
  spins_ = 0;
  idle_wakeups_ = 0;
}

std::uint64_t ScriptedKernel::idle_wakeups_max() const {
  const detail::MutexLock lock(mutex_);
  return idle_wakeups_max_;
}

std::uint64_t ScriptedKernel::spins_max() const {
  const detail::MutexLock lock(mutex_);
  return spins_max_;
}

// -- the calls ---------------------------------------------------------------

int ScriptedKernel::epoll_create() noexcept {
  if (fails(KernelCall::kEpollCreate)) return -1;
  const int fd = below_.epoll_create();
  opened(fd);
  return fd;
}

int ScriptedKernel::epoll_ctl(int epoll_fd, int operation, int fd,
                              ::epoll_event* event) noexcept {
  if (fails(call_of(operation))) return -1;
  return below_.epoll_ctl(epoll_fd, operation, fd, event);
}

int ScriptedKernel::epoll_wait(int epoll_fd, ::epoll_event* events,
                               int events_max, int timeout_ms) noexcept {
  const int answer =
      fails(KernelCall::kEpollWait)
          ? -1
          : below_.epoll_wait(epoll_fd, events, events_max, timeout_ms);
  waited(timeout_ms != 0, answer);
  return answer;
}

int ScriptedKernel::epoll_pwait2(int epoll_fd, ::epoll_event* events,
                                 int events_max,
                                 std::int64_t timeout_ns) noexcept {
  const int answer =
      fails(KernelCall::kEpollPwait2)
          ? -1
          : below_.epoll_pwait2(epoll_fd, events, events_max, timeout_ns);
  waited(timeout_ns != 0, answer);
  return answer;
}

int ScriptedKernel::eventfd() noexcept {
  if (fails(KernelCall::kEventfd)) return -1;
  const int fd = below_.eventfd();
  opened(fd);
  return fd;
}

ssize_t ScriptedKernel::read(int fd, void* buffer, std::size_t size) noexcept {
  if (fails(KernelCall::kRead)) return -1;
  return below_.read(fd, buffer, shortened(KernelCall::kRead, size));
}

ssize_t ScriptedKernel::write(int fd, const void* data,
                              std::size_t size) noexcept {
  if (fails(KernelCall::kWrite)) return -1;
  return below_.write(fd, data, shortened(KernelCall::kWrite, size));
}

int ScriptedKernel::dup3(int fd, int new_fd) noexcept {
  if (fails(KernelCall::kDup3)) return -1;
  return below_.dup3(fd, new_fd);
}

int ScriptedKernel::sigaction(int signal_number,
                              const struct ::sigaction* action,
                              struct ::sigaction* previous) noexcept {
  if (fails(KernelCall::kSigaction)) return -1;
  return below_.sigaction(signal_number, action, previous);
}

std::int64_t ScriptedKernel::monotonic_ns() noexcept {
  scripted(KernelCall::kMonotonicNs);  // counted; it cannot fail
  return below_.monotonic_ns();
}

int ScriptedKernel::sleep_ns(std::int64_t duration_ns) noexcept {
  if (const int error = scripted(KernelCall::kSleepNs)) return error;
  return below_.sleep_ns(duration_ns);
}

int ScriptedKernel::thread_create(::pthread_t* thread, void* (*start)(void*),
                                  void* argument) noexcept {
  if (const int error = scripted(KernelCall::kThreadCreate)) return error;
  return below_.thread_create(thread, start, argument);
}

int ScriptedKernel::poll(::pollfd* descriptors, std::size_t count,
                         int timeout_ms) noexcept {
  if (fails(KernelCall::kPoll)) return -1;
  return below_.poll(descriptors, count, timeout_ms);
}

int ScriptedKernel::socketpair(int* both) noexcept {
  if (fails(KernelCall::kSocketpair)) return -1;
  const int answer = below_.socketpair(both);
  if (answer == 0) {
    opened(both[0]);
    opened(both[1]);
  }
  return answer;
}

ssize_t ScriptedKernel::recv(int fd, void* buffer, std::size_t size,
                             int flags) noexcept {
  if (fails(KernelCall::kRecv)) return -1;
  return below_.recv(fd, buffer, shortened(KernelCall::kRecv, size), flags);
}

ssize_t ScriptedKernel::send(int fd, const void* data, std::size_t size,
                             int flags) noexcept {
  if (fails(KernelCall::kSend)) return -1;
  return below_.send(fd, data, shortened(KernelCall::kSend, size), flags);
}

int ScriptedKernel::socket(int family, int type, int protocol) noexcept {
  if (fails(KernelCall::kSocket)) return -1;
  const int fd = below_.socket(family, type, protocol);
  opened(fd);
  return fd;
}

int ScriptedKernel::bind(int fd, const sockaddr* address,
                         unsigned size) noexcept {
  if (fails(KernelCall::kBind)) return -1;
  return below_.bind(fd, address, size);
}

int ScriptedKernel::listen(int fd, int backlog) noexcept {
  if (fails(KernelCall::kListen)) return -1;
  return below_.listen(fd, backlog);
}

int ScriptedKernel::accept(int fd, sockaddr* address, unsigned* size) noexcept {
  if (fails(KernelCall::kAccept)) return -1;
  const int accepted = below_.accept(fd, address, size);
  opened(accepted);
  return accepted;
}

int ScriptedKernel::connect(int fd, const sockaddr* address,
                            unsigned size) noexcept {
  if (fails(KernelCall::kConnect)) return -1;
  return below_.connect(fd, address, size);
}

int ScriptedKernel::shutdown(int fd, int how) noexcept {
  if (fails(KernelCall::kShutdown)) return -1;
  return below_.shutdown(fd, how);
}

int ScriptedKernel::getsockname(int fd, sockaddr* address,
                                unsigned* size) noexcept {
  if (fails(KernelCall::kGetsockname)) return -1;
  return below_.getsockname(fd, address, size);
}

int ScriptedKernel::getpeername(int fd, sockaddr* address,
                                unsigned* size) noexcept {
  if (fails(KernelCall::kGetpeername)) return -1;
  return below_.getpeername(fd, address, size);
}

int ScriptedKernel::getsockopt(int fd, int level, int name, void* value,
                               unsigned* size) noexcept {
  if (fails(KernelCall::kGetsockopt)) return -1;
  return below_.getsockopt(fd, level, name, value, size);
}

int ScriptedKernel::setsockopt(int fd, int level, int name, const void* value,
                               unsigned size) noexcept {
  if (fails(KernelCall::kSetsockopt)) return -1;
  return below_.setsockopt(fd, level, name, value, size);
}

ssize_t ScriptedKernel::sendmsg(int fd, const msghdr* message,
                                int flags) noexcept {
  if (fails(KernelCall::kSendmsg)) return -1;
  // As many pieces as go in, the last one cut off.
  std::size_t room = shortened(KernelCall::kSend, SIZE_MAX);
  iovec pieces[8];
  msghdr shorter = *message;
  shorter.msg_iov = pieces;
  shorter.msg_iovlen = 0;
  for (std::size_t n = 0; n < message->msg_iovlen && room != 0; ++n) {
    if (n == std::size(pieces)) break;
    pieces[n] = message->msg_iov[n];
    pieces[n].iov_len = std::min(pieces[n].iov_len, room);
    room -= pieces[n].iov_len;
    shorter.msg_iovlen = n + 1;
  }
  return below_.sendmsg(fd, &shorter, flags);
}

ssize_t ScriptedKernel::recvfrom(int fd, void* buffer, std::size_t size,
                                 int flags, sockaddr* address,
                                 unsigned* address_size) noexcept {
  if (fails(KernelCall::kRecvfrom)) return -1;
  return below_.recvfrom(fd, buffer, size, flags, address, address_size);
}

ssize_t ScriptedKernel::sendto(int fd, const void* data, std::size_t size,
                               int flags, const sockaddr* address,
                               unsigned address_size) noexcept {
  if (fails(KernelCall::kSendto)) return -1;
  return below_.sendto(fd, data, size, flags, address, address_size);
}

int ScriptedKernel::recvmmsg(int fd, mmsghdr* messages, unsigned count,
                             int flags) noexcept {
  if (fails(KernelCall::kRecvmmsg)) return -1;
  return below_.recvmmsg(fd, messages, count, flags);
}

int ScriptedKernel::sendmmsg(int fd, mmsghdr* messages, unsigned count,
                             int flags) noexcept {
  if (fails(KernelCall::kSendmmsg)) return -1;
  return below_.sendmmsg(fd, messages, count, flags);
}

ssize_t ScriptedKernel::sendfile(int to, int from, ::off_t* offset,
                                 std::size_t size) noexcept {
  if (fails(KernelCall::kSendfile)) return -1;
  return below_.sendfile(to, from, offset,
                         shortened(KernelCall::kSendfile, size));
}

int ScriptedKernel::pipe(int* both) noexcept {
  if (fails(KernelCall::kPipe)) return -1;
  const int answer = below_.pipe(both);
  if (answer == 0) {
    opened(both[0]);
    opened(both[1]);
  }
  return answer;
}

ssize_t ScriptedKernel::pread(int fd, void* buffer, std::size_t size,
                              ::off_t offset) noexcept {
  if (fails(KernelCall::kPread)) return -1;
  return below_.pread(fd, buffer, shortened(KernelCall::kPread, size), offset);
}

int ScriptedKernel::fstat(int fd, struct ::stat* status) noexcept {
  if (fails(KernelCall::kFstat)) return -1;
  return below_.fstat(fd, status);
}

int ScriptedKernel::set_blocking(int fd, bool blocking) noexcept {
  if (fails(KernelCall::kSetBlocking)) return -1;
  return below_.set_blocking(fd, blocking);
}

int ScriptedKernel::spawn(::pid_t* process, const char* file,
                          const ::posix_spawn_file_actions_t* actions,
                          const ::posix_spawnattr_t* attributes,
                          char* const* argv,
                          char* const* environment) noexcept {
  if (const int error = scripted(KernelCall::kSpawn)) return error;
  return below_.spawn(process, file, actions, attributes, argv, environment);
}

::pid_t ScriptedKernel::fork() noexcept {
  if (fails(KernelCall::kFork)) return -1;
  return below_.fork();
}

int ScriptedKernel::pidfd_open(::pid_t process) noexcept {
  if (fails(KernelCall::kPidfdOpen)) return -1;
  const int fd = below_.pidfd_open(process);
  opened(fd);
  return fd;
}

int ScriptedKernel::pidfd_send_signal(int process_fd,
                                      int signal_number) noexcept {
  if (fails(KernelCall::kPidfdSendSignal)) return -1;
  return below_.pidfd_send_signal(process_fd, signal_number);
}

int ScriptedKernel::waitid(int id_type, ::id_t id, ::siginfo_t* info,
                           int options) noexcept {
  if (fails(KernelCall::kWaitid)) return -1;
  return below_.waitid(id_type, id, info, options);
}

int ScriptedKernel::kill(::pid_t process, int signal_number) noexcept {
  if (fails(KernelCall::kKill)) return -1;
  return below_.kill(process, signal_number);
}

int ScriptedKernel::signal_mask(int how, const ::sigset_t* mask,
                                ::sigset_t* previous) noexcept {
  if (const int error = scripted(KernelCall::kSignalMask)) return error;
  return below_.signal_mask(how, mask, previous);
}

int ScriptedKernel::set_parent_death_signal(int signal_number) noexcept {
  if (fails(KernelCall::kPrctl)) return -1;
  return below_.set_parent_death_signal(signal_number);
}

int ScriptedKernel::descriptor_flags(int fd) noexcept {
  if (fails(KernelCall::kFcntl)) return -1;
  return below_.descriptor_flags(fd);
}

}  // namespace rondo
