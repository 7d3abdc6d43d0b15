// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "reactor/internal/mutex.h"
#include "reactor/kernel.h"

namespace rondo {

/// The calls of a Kernel, as names for a script.
enum class KernelCall {
  kEpollCreate,
  kEpollAdd,
  kEpollModify,
  kEpollRemove,
  kEpollWait,
  kEpollPwait2,
  kEventfd,
  kRead,
  kWrite,
  kClose,
  kDup3,
  kSigaction,
  kMonotonicNs,
  kSleepNs,
  kThreadCreate,
  kPoll,
  kSocketpair,
  kRecv,
  kSend,
  kFork,
  kPidfdOpen,
  kPidfdSendSignal,
  kWaitid,
  kKill,
  kSignalMask,
  kPrctl,
  kFcntl,
  kSocket,
  kBind,
  kListen,
  kAccept,
  kConnect,
  kShutdown,
  kGetsockname,
  kGetpeername,
  kGetsockopt,
  kSetsockopt,
  kSendmsg,
  kRecvfrom,
  kSendto,
  kRecvmmsg,
  kSendmmsg,
  kSendfile,
  kPipe,
  kPread,
  kFstat,
  kSetBlocking,
  kSpawn,
};

/// The name of the system call: "epoll_ctl(ADD)".
const char* to_string(KernelCall call) noexcept;

/// A kernel for tests: passes each call on to another one, unless the script
/// says that it fails. Counts the calls, keeps a ledger of the descriptors
/// opened and closed through it, and notices a loop that spins.
///
///     ScriptedKernel kernel;
///     kernel.fail(KernelCall::kEpollAdd, ENOSPC, {.from_call = 2});
///     EventLoop loop(LoopOptions().kernel(kernel));
///
/// A call that fails is not made, but for close(): Linux has closed the
/// descriptor whatever it answers. Threading: any thread at once.
class ScriptedKernel : public Kernel {
 public:
  /// Which of the calls fail, counted from now, the next one being 1.
  struct When {
    /// The first that fails.
    std::uint64_t from_call = 1;
    /// How many fail from there.
    std::uint64_t times = 1;
  };
  /// For When::times: all of them.
  static constexpr std::uint64_t kForever = UINT64_MAX;

  /// Passes calls on to `below`, which outlives it.
  explicit ScriptedKernel(Kernel& below = linux_kernel()) noexcept
      : below_(below) {}

  /// Makes `call` fail with `error_number` at the calls that `when` names. A
  /// later script for the same call replaces the earlier.
  void fail(KernelCall call, int error_number, When when);
  /// The next one fails, once.
  void fail(KernelCall call, int error_number);
  /// No call fails any more.
  void stop_failing();
  /// recv(), send(), read(), write(), sendfile() or pread() moves `bytes_max`
  /// bytes at most, as a kernel may that is short of room; sendmsg() counts as
  /// a send(). Zero: as many as it likes.
  void shorten(KernelCall call, std::size_t bytes_max);

  /// How often `call` was made, failed ones counted.
  std::uint64_t calls(KernelCall call) const;
  /// How many answers were the script's.
  std::uint64_t failures() const;

  /// Descriptors that were opened through this kernel and not closed.
  std::vector<int> open_descriptors() const;
  /// What was done wrong with descriptors, in words: closed twice, or closed
  /// without having been opened here.
  std::vector<std::string> ledger_errors() const;

  /// How many waits that were allowed to sleep returned without an event, in
  /// a row and since the last call of callback_ran(), at most.
  std::uint64_t idle_wakeups_max() const;
  /// How many waits returned with events, in a row and since the last call of
  /// callback_ran(), at most. A spinning loop makes this grow.
  std::uint64_t spins_max() const;
  /// Says that a callback ran: what was reported was of use.
  void callback_ran();

  int epoll_create() noexcept override;
  int epoll_ctl(int epoll_fd, int operation, int fd,
                ::epoll_event* event) noexcept override;
  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) noexcept override;
  int epoll_pwait2(int epoll_fd, ::epoll_event* events, int events_max,
                   std::int64_t timeout_ns) noexcept override;
  int eventfd() noexcept override;
  ssize_t read(int fd, void* buffer, std::size_t size) noexcept override;
  ssize_t write(int fd, const void* data, std::size_t size) noexcept override;
  int close(int fd) noexcept override;
  int dup3(int fd, int new_fd) noexcept override;
  int sigaction(int signal_number, const struct ::sigaction* action,
                struct ::sigaction* previous) noexcept override;
  std::int64_t monotonic_ns() noexcept override;
  int sleep_ns(std::int64_t duration_ns) noexcept override;
  void yield() noexcept override { below_.yield(); }
  int thread_create(::pthread_t* thread, void* (*start)(void*),
                    void* argument) noexcept override;
  int poll(::pollfd* descriptors, std::size_t count,
           int timeout_ms) noexcept override;
  int socketpair(int* both) noexcept override;
  ssize_t recv(int fd, void* buffer, std::size_t size,
               int flags) noexcept override;
  ssize_t send(int fd, const void* data, std::size_t size,
               int flags) noexcept override;
  int socket(int family, int type, int protocol) noexcept override;
  int bind(int fd, const ::sockaddr* address, unsigned size) noexcept override;
  int listen(int fd, int backlog) noexcept override;
  int accept(int fd, ::sockaddr* address, unsigned* size) noexcept override;
  int connect(int fd, const ::sockaddr* address,
              unsigned size) noexcept override;
  int shutdown(int fd, int how) noexcept override;
  int getsockname(int fd, ::sockaddr* address,
                  unsigned* size) noexcept override;
  int getpeername(int fd, ::sockaddr* address,
                  unsigned* size) noexcept override;
  int getsockopt(int fd, int level, int name, void* value,
                 unsigned* size) noexcept override;
  int setsockopt(int fd, int level, int name, const void* value,
                 unsigned size) noexcept override;
  ssize_t sendmsg(int fd, const ::msghdr* message, int flags) noexcept override;
  ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags,
                   ::sockaddr* address,
                   unsigned* address_size) noexcept override;
  ssize_t sendto(int fd, const void* data, std::size_t size, int flags,
                 const ::sockaddr* address,
                 unsigned address_size) noexcept override;
  int recvmmsg(int fd, ::mmsghdr* messages, unsigned count,
               int flags) noexcept override;
  int sendmmsg(int fd, ::mmsghdr* messages, unsigned count,
               int flags) noexcept override;
  ssize_t sendfile(int to, int from, ::off_t* offset,
                   std::size_t size) noexcept override;
  int pipe(int* both) noexcept override;
  ssize_t pread(int fd, void* buffer, std::size_t size,
                ::off_t offset) noexcept override;
  int fstat(int fd, struct ::stat* status) noexcept override;
  int set_blocking(int fd, bool blocking) noexcept override;
  int spawn(::pid_t* process, const char* file,
            const ::posix_spawn_file_actions_t* actions,
            const ::posix_spawnattr_t* attributes, char* const* argv,
            char* const* environment) noexcept override;
  ::pid_t fork() noexcept override;
  ::pid_t getpid() noexcept override { return below_.getpid(); }
  ::pid_t getppid() noexcept override { return below_.getppid(); }
  int pidfd_open(::pid_t process) noexcept override;
  int pidfd_send_signal(int process_fd, int signal_number) noexcept override;
  int waitid(int id_type, ::id_t id, ::siginfo_t* info,
             int options) noexcept override;
  int kill(::pid_t process, int signal_number) noexcept override;
  int signal_mask(int how, const ::sigset_t* mask,
                  ::sigset_t* previous) noexcept override;
  int set_parent_death_signal(int signal_number) noexcept override;
  int descriptor_flags(int fd) noexcept override;

 private:
  /// Atomic, without the lock: write() is called from signal handlers.
  struct Script {
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> first{1};  // the calls that fail, in
    std::atomic<std::uint64_t> last{0};   // terms of `calls`
    std::atomic<int> error_number{0};
    std::atomic<std::size_t> bytes_max{0};  // see shorten()
  };

  /// Counts the call. The errno that it is to fail with, or zero.
  int scripted(KernelCall call) noexcept;
  /// The same, into errno. Whether there was one.
  bool fails(KernelCall call) noexcept;
  /// `size`, or what shorten() has said, if that is less.
  std::size_t shortened(KernelCall call, std::size_t size) const noexcept;
  void opened(int fd) noexcept;
  void waited(bool may_sleep, int answer) noexcept;

  static constexpr int kCalls = 48;

  Kernel& below_;
  Script scripts_[kCalls];
  std::atomic<std::uint64_t> failures_{0};
  mutable detail::Mutex mutex_;  // for what follows
  std::vector<int> open_;        // descriptors, in order
  std::vector<std::string> ledger_errors_;
  std::uint64_t idle_wakeups_ = 0;
  std::uint64_t idle_wakeups_max_ = 0;
  std::uint64_t spins_ = 0;
  std::uint64_t spins_max_ = 0;
};

}  // namespace rondo
