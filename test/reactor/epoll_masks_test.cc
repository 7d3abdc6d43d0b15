// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>
#include <string>
#include <utility>

#include "reactor/event_loop.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"

// FAULTS 2.0: what epoll really reports. Each row makes one situation and says
// what a watch() of it is told: when it asks for everything, when it asks for
// nothing that holds (what is left comes unasked), and when it is paused.

namespace rondo {
namespace {

constexpr Events kIn = Events::kRead;
constexpr Events kOut = Events::kWrite;
constexpr Events kPri = Events::kPriority;
constexpr Events kErr = Events::kError;
constexpr Events kHup = Events::kHangup;
constexpr Events kRdHup = Events::kReadHangup;
constexpr Events kNone = Events::kNone;
constexpr Events kAll = kIn | kOut | kRdHup | kPri;

/// The descriptor to look at, and what must stay open meanwhile.
struct Situation {
  UniqueFd fd;
  UniqueFd peer;
};

// -- sockets -----------------------------------------------------------------

::sockaddr_in loopback(int port = 0) {
  ::sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

UniqueFd inet_socket(int type) {
  return UniqueFd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// A socket with a port of its own.
UniqueFd bound_socket(int type) {
  UniqueFd fd = inet_socket(type);
  const ::sockaddr_in address = loopback();
  ::bind(fd.get(), reinterpret_cast<const ::sockaddr*>(&address),
         sizeof address);
  return fd;
}

int connect_to(const UniqueFd& fd, const UniqueFd& target) {
  ::sockaddr_in address{};
  ::socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<::sockaddr*>(&address);
  ::getsockname(target.get(), plain, &size);
  return ::connect(fd.get(), plain, size);
}

Situation tcp_pair() {
  const UniqueFd listener = bound_socket(SOCK_STREAM);
  ::listen(listener.get(), 1);
  Situation pair{inet_socket(SOCK_STREAM), UniqueFd()};
  connect_to(pair.fd, listener);
  // On the loopback the handshake is over when connect() returns.
  pair.peer = UniqueFd(::accept4(listener.get(), nullptr, nullptr,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC));
  return pair;
}

void send_text(const UniqueFd& fd, std::string_view text, int flags = 0) {
  ::send(fd.get(), text.data(), text.size(), flags | MSG_NOSIGNAL);
}

/// Closes with a reset instead of an orderly end.
void reset_connection(UniqueFd& fd) {
  const ::linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.reset();
}

// -- the situations ----------------------------------------------------------

Situation idle() { return tcp_pair(); }

Situation peer_shut_down() {
  Situation s = tcp_pair();
  ::shutdown(s.peer.get(), SHUT_WR);
  return s;
}

Situation peer_closed() {
  Situation s = tcp_pair();
  s.peer.reset();
  return s;
}

Situation data_then_peer_closed() {
  Situation s = tcp_pair();
  send_text(s.peer, "data");
  s.peer.reset();
  return s;
}

Situation peer_closed_and_we_wrote() {
  Situation s = peer_closed();
  send_text(s.fd, "too late");
  return s;
}

Situation peer_closed_with_our_data_unread() {
  Situation s = tcp_pair();
  send_text(s.fd, "never read");
  s.peer.reset();
  return s;
}

Situation peer_reset() {
  Situation s = tcp_pair();
  reset_connection(s.peer);
  return s;
}

Situation data_then_reset() {
  Situation s = tcp_pair();
  send_text(s.peer, "data");
  reset_connection(s.peer);
  return s;
}

Situation we_shut_both_down() {
  Situation s = tcp_pair();
  ::shutdown(s.fd.get(), SHUT_RDWR);
  return s;
}

Situation never_connected() { return {inet_socket(SOCK_STREAM), UniqueFd()}; }

Situation connect_refused() {
  // Bound and not listening: the port is ours, and refuses.
  Situation s{inet_socket(SOCK_STREAM), bound_socket(SOCK_STREAM)};
  connect_to(s.fd, s.peer);
  return s;
}

Situation urgent_byte() {
  Situation s = tcp_pair();
  send_text(s.peer, "!", MSG_OOB);
  return s;
}

Situation bound_but_not_listening() {
  return {bound_socket(SOCK_STREAM), UniqueFd()};
}

Situation pipe_without_reader() {
  Pipe pipe;
  return {std::move(pipe.writer), UniqueFd()};
}

Situation pipe_without_writer() {
  Pipe pipe;
  return {std::move(pipe.reader), UniqueFd()};
}

Situation pipe_with_data_without_writer() {
  Pipe pipe;
  write_text(pipe.writer.get(), "data");
  return {std::move(pipe.reader), UniqueFd()};
}

Situation unix_peer_closed() {
  SocketPair pair;
  return {std::move(pair.a), UniqueFd()};
}

Situation unix_peer_closed_with_our_data_unread() {
  SocketPair pair;
  write_text(pair.a.get(), "never read");
  return {std::move(pair.a), UniqueFd()};
}

/// A datagram socket whose port refuses everybody but its own peer.
UniqueFd unreachable_port() {
  UniqueFd fd = bound_socket(SOCK_DGRAM);
  connect_to(fd, fd);
  return fd;
}

Situation connected_udp_unreachable() {
  Situation s{inet_socket(SOCK_DGRAM), unreachable_port()};
  connect_to(s.fd, s.peer);
  send_text(s.fd, "anybody?");
  return s;
}

Situation unconnected_udp_unreachable() {
  Situation s{inet_socket(SOCK_DGRAM), unreachable_port()};
  ::sockaddr_in address{};
  ::socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<::sockaddr*>(&address);
  ::getsockname(s.peer.get(), plain, &size);
  ::sendto(s.fd.get(), "?", 1, 0, plain, size);
  return s;
}

// -- the table ---------------------------------------------------------------

struct Row {
  const char* name;
  Situation (*make)();
  Events asking_all;
  Events unasked;
};

const Row kTable[] = {
    {"Idle", idle, kOut, kNone},
    {"PeerShutDown", peer_shut_down, kIn | kOut | kRdHup, kNone},
    {"PeerClosed", peer_closed, kIn | kOut | kRdHup, kNone},
    {"DataThenPeerClosed", data_then_peer_closed, kIn | kOut | kRdHup, kNone},
    {"PeerClosedAndWeWrote", peer_closed_and_we_wrote,
     kIn | kOut | kRdHup | kHup | kErr, kHup | kErr},
    {"PeerClosedWithOurDataUnread", peer_closed_with_our_data_unread,
     kIn | kOut | kRdHup | kHup | kErr, kHup | kErr},
    {"PeerReset", peer_reset, kIn | kOut | kRdHup | kHup | kErr, kHup | kErr},
    {"DataThenReset", data_then_reset, kIn | kOut | kRdHup | kHup | kErr,
     kHup | kErr},
    {"WeShutBothDown", we_shut_both_down, kIn | kOut | kRdHup | kHup, kHup},
    {"NeverConnected", never_connected, kOut | kHup, kHup},
    {"ConnectRefused", connect_refused, kIn | kOut | kRdHup | kHup | kErr,
     kHup | kErr},
    {"UrgentByte", urgent_byte, kOut | kPri, kNone},
    {"PipeWithoutReader", pipe_without_reader, kOut | kErr, kErr},
    {"PipeWithDataWithoutWriter", pipe_with_data_without_writer, kIn | kHup,
     kHup},
    {"PipeWithoutWriter", pipe_without_writer, kHup, kHup},
    {"UnixPeerClosed", unix_peer_closed, kIn | kOut | kRdHup | kHup, kHup},
    {"UnixPeerClosedWithOurDataUnread", unix_peer_closed_with_our_data_unread,
     kIn | kOut | kRdHup | kHup | kErr, kHup | kErr},
    {"ConnectedUdpUnreachable", connected_udp_unreachable, kOut | kErr, kErr},
    {"UnconnectedUdpUnreachable", unconnected_udp_unreachable, kOut, kNone},
    {"BoundButNotListening", bound_but_not_listening, kOut | kHup, kHup},
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class EpollMasks : public ::testing::TestWithParam<Row> {
 protected:
  /// Runs passes until `expected` is reported: the loopback may need a moment
  /// for the last packet.
  Events reported(Events interest, Events expected) {
    Events seen = kNone;
    loop_.watch(situation_.fd.get(), interest,
                [&](Events events) { seen = events; });
    run_one_pass(loop_);
    if (expected != kNone) run_until(loop_, [&] { return seen == expected; });
    loop_.unwatch(situation_.fd.get());
    return seen;
  }

  Situation situation_ = GetParam().make();
  EventLoop loop_;
};

TEST_P(EpollMasks, AreReportedAsTheKernelMakesThem) {
  const Row& row = GetParam();
  const Events all = reported(kAll, row.asking_all);
  EXPECT_EQ(to_string(all), to_string(row.asking_all));
}

// A callback that waits for something else learns of these all the same.
TEST_P(EpollMasks, OfErrorsAndHangUpsComeUnasked) {
  const Row& row = GetParam();
  const Events waited_for = has(row.asking_all, kPri) ? kRdHup : kPri;
  const Events unasked = reported(waited_for, row.unasked);
  EXPECT_EQ(to_string(unasked), to_string(row.unasked));
}

// A paused watch hears nothing at all; the loop sleeps.
TEST_P(EpollMasks, AreSilentWhileTheWatchIsPaused) {
  reported(kAll, GetParam().asking_all);  // the situation is complete now
  Events seen = kNone;
  const auto before = loop_.stats().events;
  loop_.watch(situation_.fd.get(), kNone, [&](Events e) { seen = e; });
  run_passes(loop_, 3);
  EXPECT_EQ(seen, kNone);
  EXPECT_EQ(loop_.stats().events, before);
}

// Whatever is reported, a reader or a writer that is registered for it runs:
// nobody waits for ever beside a dead descriptor.
TEST_P(EpollMasks, WakeReadersAndWritersWhateverTheyAre) {
  const Row& row = GetParam();
  reported(kAll, row.asking_all);
  int reads = 0;
  int writes = 0;
  loop_.add_reader(situation_.fd.get(), [&] { ++reads; });
  loop_.add_writer(situation_.fd.get(), [&] { ++writes; });
  run_one_pass(loop_);
  EXPECT_EQ(reads > 0, has(row.asking_all, kIn | kHup | kErr));
  EXPECT_EQ(writes > 0, has(row.asking_all, kOut | kHup | kErr));
}

INSTANTIATE_TEST_SUITE_P(Situation, EpollMasks, ::testing::ValuesIn(kTable),
                         [](const auto& row) {
                           return std::string(row.param.name);
                         });

// -- the rest of the table: what recv() says ---------------------------------

/// One recv(): what came, or the name of the errno, or "end".
std::string receive(const UniqueFd& fd) {
  char part[64];
  const ssize_t count = ::recv(fd.get(), part, sizeof part, 0);
  if (count > 0) return std::string(part, static_cast<std::size_t>(count));
  if (count == 0) return "end";
  return errno == ECONNRESET ? "ECONNRESET" : "errno " + std::to_string(errno);
}

// "Data precedes the reset and must be delivered": the reader runs with both
// there, and reading in order gives them in order.
TEST(EpollMasksDetail, ReaderFindsTheDataBeforeTheReset) {
  EventLoop loop;
  Situation s = data_then_reset();
  std::string story;
  loop.add_reader(s.fd.get(), [&] { story += receive(s.fd) + ' '; });
  ASSERT_TRUE(
      run_until(loop, [&] { return story.find("end") != std::string::npos; }));
  EXPECT_EQ(story, "data ECONNRESET end ");
}

}  // namespace
}  // namespace rondo
