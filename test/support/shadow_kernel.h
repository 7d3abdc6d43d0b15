// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "reactor/clock.h"
#include "reactor/events.h"
#include "reactor/kernel.h"
#include "test/support/program_files.h"

namespace rondo::test {

/// A kernel that knows what the loop's epoll set holds, and what each report
/// is a report of, whatever the loop believes.
///
/// epoll hands back 64 bits that the loop chose. This kernel registers a serial
/// number of its own instead, and puts the loop's bits back into each report.
/// Which file a number names it knows from ProgramFiles.
class ShadowKernel : public Kernel {
 public:
  using Serial = std::uint32_t;

  /// One registration in an epoll set, from its EPOLL_CTL_ADD to its end.
  struct Registration {
    int number;
    ProgramFiles::FileId file;
    std::uint32_t set;
    Events interest;
    std::uint64_t bits;
    bool removed = false;
  };
  /// One call of epoll_ctl(2).
  struct Control {
    int operation;
    int number;
    /// errno, or zero.
    int error;
    /// Of the registration that it concerned, if it did not fail.
    Serial serial;
    /// False for a set that the loop is about to put in its own one's place.
    bool current_set;
  };
  /// One report of epoll_wait(2).
  struct Report {
    Serial serial;
    int number;
    Events events;
  };

  /// Told of what the loop asks.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_control(const Control& control) noexcept = 0;
    /// The loop's epoll descriptor names another set now.
    virtual void on_renewal() noexcept = 0;
    /// The loop will sleep for `timeout`, for ever if that is
    /// Duration::max(). What is done here, others do while it sleeps.
    virtual void on_wait(Duration timeout) noexcept = 0;
    /// It would sleep for ever: nothing is ready. It is woken, with nothing.
    virtual void on_endless_sleep() noexcept = 0;
    /// The wait is over, or has `failed`. Reports of the loop's own wake-up
    /// are counted in `wakeups`, not listed.
    virtual void on_waited(std::span<const Report> reports, bool failed,
                           int wakeups) noexcept = 0;
  };

  /// Both outlive it.
  ShadowKernel(Kernel& below, const ProgramFiles& files);
  /// Forgets all and tells `listener` from now on.
  void reset(Listener& listener);

  /// A file is gone, and with it its registrations (epoll(7), Q6).
  void forget_file(ProgramFiles::FileId file);
  /// Whether the registration is still in the loop's set.
  bool is_live(Serial serial) const;
  const Registration& registration(Serial serial) const {
    return registrations_[serial];
  }
  /// The live registration of a number in the loop's set, for what the number
  /// names now. Returns false if there is none.
  bool find(int number, Serial& serial) const;

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
           int timeout_ms) noexcept override {
    return below_.poll(descriptors, count, timeout_ms);
  }
  int socketpair(int* both) noexcept override {
    return below_.socketpair(both);
  }
  ssize_t recv(int fd, void* buffer, std::size_t size,
               int flags) noexcept override {
    return below_.recv(fd, buffer, size, flags);
  }
  ssize_t send(int fd, const void* data, std::size_t size,
               int flags) noexcept override {
    return below_.send(fd, data, size, flags);
  }
  int socket(int family, int type, int protocol) noexcept override {
    return below_.socket(family, type, protocol);
  }
  int bind(int fd, const ::sockaddr* address, unsigned size) noexcept override {
    return below_.bind(fd, address, size);
  }
  int listen(int fd, int backlog) noexcept override {
    return below_.listen(fd, backlog);
  }
  int accept(int fd, ::sockaddr* address, unsigned* size) noexcept override {
    return below_.accept(fd, address, size);
  }
  int connect(int fd, const ::sockaddr* address,
              unsigned size) noexcept override {
    return below_.connect(fd, address, size);
  }
  int shutdown(int fd, int how) noexcept override {
    return below_.shutdown(fd, how);
  }
  int getsockname(int fd, ::sockaddr* address,
                  unsigned* size) noexcept override {
    return below_.getsockname(fd, address, size);
  }
  int getpeername(int fd, ::sockaddr* address,
                  unsigned* size) noexcept override {
    return below_.getpeername(fd, address, size);
  }
  int getsockopt(int fd, int level, int name, void* value,
                 unsigned* size) noexcept override {
    return below_.getsockopt(fd, level, name, value, size);
  }
  int setsockopt(int fd, int level, int name, const void* value,
                 unsigned size) noexcept override {
    return below_.setsockopt(fd, level, name, value, size);
  }
  ssize_t sendmsg(int fd, const ::msghdr* message,
                  int flags) noexcept override {
    return below_.sendmsg(fd, message, flags);
  }
  ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags,
                   ::sockaddr* address,
                   unsigned* address_size) noexcept override {
    return below_.recvfrom(fd, buffer, size, flags, address, address_size);
  }
  ssize_t sendto(int fd, const void* data, std::size_t size, int flags,
                 const ::sockaddr* address,
                 unsigned address_size) noexcept override {
    return below_.sendto(fd, data, size, flags, address, address_size);
  }
  int recvmmsg(int fd, ::mmsghdr* messages, unsigned count,
               int flags) noexcept override {
    return below_.recvmmsg(fd, messages, count, flags);
  }
  int sendmmsg(int fd, ::mmsghdr* messages, unsigned count,
               int flags) noexcept override {
    return below_.sendmmsg(fd, messages, count, flags);
  }
  ssize_t sendfile(int to, int from, ::off_t* offset,
                   std::size_t size) noexcept override {
    return below_.sendfile(to, from, offset, size);
  }
  int pipe(int* both) noexcept override { return below_.pipe(both); }
  ssize_t pread(int fd, void* buffer, std::size_t size,
                ::off_t offset) noexcept override {
    return below_.pread(fd, buffer, size, offset);
  }
  int fstat(int fd, struct ::stat* status) noexcept override {
    return below_.fstat(fd, status);
  }
  int set_blocking(int fd, bool blocking) noexcept override {
    return below_.set_blocking(fd, blocking);
  }
  int spawn(::pid_t* process, const char* file,
            const ::posix_spawn_file_actions_t* actions,
            const ::posix_spawnattr_t* attributes, char* const* argv,
            char* const* environment) noexcept override {
    return below_.spawn(process, file, actions, attributes, argv, environment);
  }
  ::pid_t fork() noexcept override { return below_.fork(); }
  ::pid_t getpid() noexcept override { return below_.getpid(); }
  ::pid_t getppid() noexcept override { return below_.getppid(); }
  int pidfd_open(::pid_t process) noexcept override {
    return below_.pidfd_open(process);
  }
  int pidfd_send_signal(int process_fd, int signal_number) noexcept override {
    return below_.pidfd_send_signal(process_fd, signal_number);
  }
  int waitid(int id_type, ::id_t id, ::siginfo_t* info,
             int options) noexcept override {
    return below_.waitid(id_type, id, info, options);
  }
  int kill(::pid_t process, int signal_number) noexcept override {
    return below_.kill(process, signal_number);
  }
  int signal_mask(int how, const ::sigset_t* mask,
                  ::sigset_t* previous) noexcept override {
    return below_.signal_mask(how, mask, previous);
  }
  int set_parent_death_signal(int signal_number) noexcept override {
    return below_.set_parent_death_signal(signal_number);
  }
  int descriptor_flags(int fd) noexcept override {
    return below_.descriptor_flags(fd);
  }

 private:
  /// An epoll descriptor and the set that it names.
  struct EpollFd {
    int fd;
    std::uint32_t set;
  };
  std::uint32_t set_of(int epoll_fd) const;
  void bind(int epoll_fd, std::uint32_t set);
  bool find_in(std::uint32_t set, int number, Serial& serial) const;
  template <class Wait>
  int wait(Duration timeout, epoll_event* events, Wait&& below);

  Kernel& below_;
  const ProgramFiles& files_;
  Listener* listener_ = nullptr;
  std::vector<Registration> registrations_;  // by serial
  std::vector<EpollFd> epoll_fds_;           // the loop's first
  std::uint32_t sets_ = 0;
  std::vector<Report> reports_;
};

}  // namespace rondo::test
