// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

struct epoll_event;
struct mmsghdr;  // NOLINT(readability-identifier-naming)
struct msghdr;   // NOLINT(readability-identifier-naming)
struct pollfd;
struct sockaddr;
struct stat;  // NOLINT(readability-identifier-naming)

namespace rondo {

/// All that the library asks of Linux, in one list.
///
/// Each function is the C library's of the same name (see its man page) and
/// answers as that does: -1 and errno for a failure. So the real one is a
/// jump into the C library and nothing else, which matters for epoll_wait():
/// many processors forget the return addresses of the frames above a system
/// call, and every further return costs ten nanoseconds.
///
/// The library calls the kernel through a Kernel only. `linux_kernel()` is
/// the real one; a test puts a ScriptedKernel in its place, virtual time a
/// VirtualKernel.
///
/// Threading: a Kernel may be used from any thread at once, `write` from a
/// signal handler too.
/// Lifetime: outlives every loop that was given it.
class Kernel {
 public:
  virtual ~Kernel() = default;

  /// epoll_create1(2) with EPOLL_CLOEXEC.
  virtual int epoll_create() noexcept = 0;
  /// epoll_ctl(2).
  virtual int epoll_ctl(int epoll_fd, int operation, int fd,
                        epoll_event* event) noexcept = 0;
  /// epoll_wait(2); a negative timeout waits for ever. Not noexcept: it is
  /// where a thread may be cancelled (pthreads(7)), and a noexcept function
  /// could not end in a jump.
  virtual int epoll_wait(int epoll_fd, epoll_event* events, int events_max,
                         int timeout_ms) = 0;
  /// epoll_pwait2(2) with no signal mask; `timeout_ns` is not negative.
  virtual int epoll_pwait2(int epoll_fd, epoll_event* events, int events_max,
                           std::int64_t timeout_ns) = 0;
  /// eventfd(2) with EFD_CLOEXEC | EFD_NONBLOCK, counting from zero.
  virtual int eventfd() noexcept = 0;
  /// read(2).
  virtual ssize_t read(int fd, void* buffer, std::size_t size) noexcept = 0;
  /// write(2).
  virtual ssize_t write(int fd, const void* data,
                        std::size_t size) noexcept = 0;
  /// close(2). Never repeated on EINTR: Linux has closed the descriptor.
  virtual int close(int fd) noexcept = 0;
  /// dup3(2) with O_CLOEXEC: makes `new_fd` name what `fd` names.
  virtual int dup3(int fd, int new_fd) noexcept = 0;
  /// sigaction(2).
  virtual int sigaction(int signal_number, const struct ::sigaction* action,
                        struct ::sigaction* previous) noexcept = 0;
  /// clock_gettime(2) of CLOCK_MONOTONIC, in nanoseconds.
  virtual std::int64_t monotonic_ns() noexcept = 0;
  /// clock_nanosleep(2) on CLOCK_MONOTONIC; may return early. Answers with
  /// the error number itself.
  virtual int sleep_ns(std::int64_t duration_ns) noexcept = 0;
  /// sched_yield(2).
  virtual void yield() noexcept = 0;
  /// pthread_create(3): a joinable thread with default attributes. Answers
  /// with the error number itself.
  virtual int thread_create(::pthread_t* thread, void* (*start)(void*),
                            void* argument) noexcept = 0;

  /// poll(2); a negative timeout waits for ever.
  virtual int poll(::pollfd* descriptors, std::size_t count,
                   int timeout_ms) noexcept = 0;
  /// socketpair(2): two connected stream sockets of the unix domain, with
  /// SOCK_CLOEXEC, blocking.
  virtual int socketpair(int* both) noexcept = 0;
  /// recv(2).
  virtual ssize_t recv(int fd, void* buffer, std::size_t size,
                       int flags) noexcept = 0;
  /// send(2).
  virtual ssize_t send(int fd, const void* data, std::size_t size,
                       int flags) noexcept = 0;

  /// socket(2) with SOCK_CLOEXEC | SOCK_NONBLOCK.
  virtual int socket(int family, int type, int protocol) noexcept = 0;
  /// bind(2).
  virtual int bind(int fd, const ::sockaddr* address,
                   unsigned size) noexcept = 0;
  /// listen(2).
  virtual int listen(int fd, int backlog) noexcept = 0;
  /// accept4(2) with SOCK_CLOEXEC | SOCK_NONBLOCK.
  virtual int accept(int fd, ::sockaddr* address, unsigned* size) noexcept = 0;
  /// connect(2).
  virtual int connect(int fd, const ::sockaddr* address,
                      unsigned size) noexcept = 0;
  /// shutdown(2).
  virtual int shutdown(int fd, int how) noexcept = 0;
  /// getsockname(2).
  virtual int getsockname(int fd, ::sockaddr* address,
                          unsigned* size) noexcept = 0;
  /// getpeername(2).
  virtual int getpeername(int fd, ::sockaddr* address,
                          unsigned* size) noexcept = 0;
  /// getsockopt(2).
  virtual int getsockopt(int fd, int level, int name, void* value,
                         unsigned* size) noexcept = 0;
  /// setsockopt(2).
  virtual int setsockopt(int fd, int level, int name, const void* value,
                         unsigned size) noexcept = 0;
  /// sendmsg(2).
  virtual ssize_t sendmsg(int fd, const ::msghdr* message,
                          int flags) noexcept = 0;

  /// recvfrom(2).
  virtual ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags,
                           ::sockaddr* address,
                           unsigned* address_size) noexcept = 0;
  /// sendto(2).
  virtual ssize_t sendto(int fd, const void* data, std::size_t size, int flags,
                         const ::sockaddr* address,
                         unsigned address_size) noexcept = 0;
  /// recvmmsg(2) without a timeout.
  virtual int recvmmsg(int fd, ::mmsghdr* messages, unsigned count,
                       int flags) noexcept = 0;
  /// sendmmsg(2).
  virtual int sendmmsg(int fd, ::mmsghdr* messages, unsigned count,
                       int flags) noexcept = 0;
  /// sendfile(2). Raises SIGPIPE where it fails with EPIPE.
  virtual ssize_t sendfile(int to, int from, ::off_t* offset,
                           std::size_t size) noexcept = 0;

  /// pipe2(2) with O_CLOEXEC, blocking.
  virtual int pipe(int* both) noexcept = 0;
  /// pread(2).
  virtual ssize_t pread(int fd, void* buffer, std::size_t size,
                        ::off_t offset) noexcept = 0;
  /// fstat(2).
  virtual int fstat(int fd, struct ::stat* status) noexcept = 0;
  /// fcntl(2) with F_SETFL: O_NONBLOCK on or off.
  virtual int set_blocking(int fd, bool blocking) noexcept = 0;
  /// posix_spawnp(3), which gives an errno instead of setting it.
  virtual int spawn(::pid_t* process, const char* file,
                    const ::posix_spawn_file_actions_t* actions,
                    const ::posix_spawnattr_t* attributes, char* const* argv,
                    char* const* environment) noexcept = 0;

  /// fork(2).
  virtual ::pid_t fork() noexcept = 0;
  /// getpid(2).
  virtual ::pid_t getpid() noexcept = 0;
  /// getppid(2).
  virtual ::pid_t getppid() noexcept = 0;
  /// pidfd_open(2). The descriptor has O_CLOEXEC by itself.
  virtual int pidfd_open(::pid_t process) noexcept = 0;
  /// pidfd_send_signal(2).
  virtual int pidfd_send_signal(int process_fd, int signal_number) noexcept = 0;
  /// waitid(2). `id_type` is an idtype_t, whose header would come with every
  /// include of this one, ::wait() among its names.
  virtual int waitid(int id_type, ::id_t id, ::siginfo_t* info,
                     int options) noexcept = 0;
  /// kill(2).
  virtual int kill(::pid_t process, int signal_number) noexcept = 0;
  /// pthread_sigmask(3). Answers with the error number itself.
  virtual int signal_mask(int how, const ::sigset_t* mask,
                          ::sigset_t* previous) noexcept = 0;
  /// prctl(2) with PR_SET_PDEATHSIG: the signal that this process gets when
  /// the thread that forked it ends.
  virtual int set_parent_death_signal(int signal_number) noexcept = 0;
  /// fcntl(2) with F_GETFD.
  virtual int descriptor_flags(int fd) noexcept = 0;
};

/// The kernel that this process runs on.
Kernel& linux_kernel() noexcept;

/// The same as a class, for kernels that change some answers only.
class LinuxKernel : public Kernel {
 public:
  int epoll_create() noexcept override;
  int epoll_ctl(int epoll_fd, int operation, int fd,
                epoll_event* event) noexcept override;
  int epoll_wait(int epoll_fd, epoll_event* events, int events_max,
                 int timeout_ms) override;
  int epoll_pwait2(int epoll_fd, epoll_event* events, int events_max,
                   std::int64_t timeout_ns) override;
  int eventfd() noexcept override;
  ssize_t read(int fd, void* buffer, std::size_t size) noexcept override;
  ssize_t write(int fd, const void* data, std::size_t size) noexcept override;
  int close(int fd) noexcept override;
  int dup3(int fd, int new_fd) noexcept override;
  int sigaction(int signal_number, const struct ::sigaction* action,
                struct ::sigaction* previous) noexcept override;
  std::int64_t monotonic_ns() noexcept override;
  int sleep_ns(std::int64_t duration_ns) noexcept override;
  void yield() noexcept override;
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
  ::pid_t getpid() noexcept override;
  ::pid_t getppid() noexcept override;
  int pidfd_open(::pid_t process) noexcept override;
  int pidfd_send_signal(int process_fd, int signal_number) noexcept override;
  int waitid(int id_type, ::id_t id, ::siginfo_t* info,
             int options) noexcept override;
  int kill(::pid_t process, int signal_number) noexcept override;
  int signal_mask(int how, const ::sigset_t* mask,
                  ::sigset_t* previous) noexcept override;
  int set_parent_death_signal(int signal_number) noexcept override;
  int descriptor_flags(int fd) noexcept override;
};

}  // namespace rondo
