// SPDX-License-Identifier: MIT
#include "net/address.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <netdb.h>

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "net/getaddrinfo.h"
#include "test/net/transport_pair.h"

namespace rondo {
namespace {

using std::string_literals::operator""s;
using test::finish;
using test::thrown_by;

TEST(Address, IsNoneUnlessGiven) {
  const Address none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.family(), AF_UNSPEC);
  EXPECT_EQ(none.host(), "");
  EXPECT_EQ(none.port(), 0);
  EXPECT_EQ(none.path(), "");
  EXPECT_EQ(none.native_size(), 0u);
  EXPECT_EQ(to_string(none), "None");
  EXPECT_EQ(none, Address());
}

TEST(Address, TakesNumericAddressesOnly) {
  const Address v4 = Address::inet("127.0.0.1", 8888);
  EXPECT_TRUE(v4);
  EXPECT_EQ(v4.family(), AF_INET);
  EXPECT_EQ(v4.host(), "127.0.0.1");
  EXPECT_EQ(v4.port(), 8888);
  EXPECT_EQ(v4.path(), "");
  EXPECT_EQ(v4.native_size(), sizeof(::sockaddr_in));
  const Address v6 = Address::inet("::1", 65535);
  EXPECT_EQ(v6.family(), AF_INET6);
  EXPECT_EQ(v6.host(), "::1");
  EXPECT_EQ(v6.port(), 65535);
  EXPECT_EQ(v6.native_size(), sizeof(::sockaddr_in6));
  for (const std::string& host :
       {"localhost"s, ""s, "127.0.0.1 "s, "127.1"s, "1.2.3.4.5"s, "::1%"s,
        "::1%no-such-zone"s, "fe80::1%99999999999"s, "127.0.0.1\0.evil"s,
        "::1\0"s, "1.2.3.4%lo"s}) {
    EXPECT_FALSE(Address::parse(host, 1)) << host;
  }
  EXPECT_EQ(thrown_by([] { Address::inet("localhost", 1); }),
            "std::invalid_argument: Address::inet: 'localhost' is no numeric "
            "address");
}

TEST(Address, KeepsTheZoneOfALinkLocalAddress) {
  const unsigned loopback = ::if_nametoindex("lo");
  ASSERT_NE(loopback, 0u);
  const Address by_name = Address::inet("fe80::1%lo", 1);
  EXPECT_EQ(by_name.host(), "fe80::1%lo");
  EXPECT_EQ(by_name, Address::inet("fe80::1%" + std::to_string(loopback), 1));
  EXPECT_EQ(Address::inet("fe80::1%54321", 1).host(), "fe80::1%54321");
  EXPECT_NE(by_name, Address::inet("fe80::1", 1));
}

TEST(Address, IsWrittenAsPythonWritesIt) {
  EXPECT_EQ(to_string(Address::inet("127.0.0.1", 8888)), "('127.0.0.1', 8888)");
  EXPECT_EQ(to_string(Address::inet("::1", 8888)), "('::1', 8888, 0, 0)");
  EXPECT_EQ(to_string(Address::inet("fe80::1%54321", 1)),
            "('fe80::1%54321', 1, 0, 54321)");
  EXPECT_EQ(to_string(Address::unix_path("/run/s")), "/run/s");
}

TEST(Address, TakesTheNamesOfUnixSockets) {
  const Address path = Address::unix_path("/run/s");
  EXPECT_EQ(path.family(), AF_UNIX);
  EXPECT_EQ(path.path(), "/run/s");
  EXPECT_EQ(path.host(), "");
  EXPECT_EQ(path.port(), 0);
  const Address abstract = Address::unix_path("\0name\0more"s);
  EXPECT_EQ(abstract.path(), "\0name\0more"s);
  EXPECT_EQ(abstract.native_size(),
            offsetof(::sockaddr_un, sun_path) + abstract.path().size());
  EXPECT_EQ(Address::unix_path("").path(), "");
  EXPECT_EQ(Address::unix_path("").native_size(),
            offsetof(::sockaddr_un, sun_path));
}

TEST(Address, RefusesUnixNamesThatDoNotFit) {
  EXPECT_EQ(Address::unix_path(std::string(107, 'x')).path().size(), 107u);
  EXPECT_THROW(Address::unix_path(std::string(108, 'x')),
               std::invalid_argument);
  EXPECT_EQ(Address::unix_path("\0"s + std::string(107, 'x')).path().size(),
            108u);
  EXPECT_THROW(Address::unix_path("\0"s + std::string(108, 'x')),
               std::invalid_argument);
  EXPECT_EQ(thrown_by([] { Address::unix_path("a\0b"s); }),
            "std::invalid_argument: Address::unix_path: 'a\\x00b' has a NUL "
            "byte in it");
}

TEST(Address, IsWhatTheKernelHasGiven) {
  ::sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, "/run/s");
  const auto* native = reinterpret_cast<const ::sockaddr*>(&name);
  const auto at = static_cast<::socklen_t>(offsetof(::sockaddr_un, sun_path));
  // With its NUL counted in, without, and with more behind it.
  for (const ::socklen_t size : {at + 7, at + 6, at + 50, ::socklen_t{200}}) {
    EXPECT_EQ(Address::from_native(native, size), Address::unix_path("/run/s"))
        << size;
  }
  // One of 108 bytes has no NUL.
  std::memset(name.sun_path, 'x', sizeof name.sun_path);
  EXPECT_EQ(Address::from_native(native, sizeof name + 1).path(),
            std::string(108, 'x'));
  EXPECT_EQ(Address::from_native(native, at), Address::unix_path(""));
  EXPECT_FALSE(Address::from_native(native, 1));
  // Too short for its family, and of a family that is not known.
  const Address v4 = Address::inet("1.2.3.4", 5);
  EXPECT_EQ(Address::from_native(v4.native(), v4.native_size()), v4);
  EXPECT_FALSE(Address::from_native(v4.native(), v4.native_size() - 1));
  const Address v6 = Address::inet("::2", 5);
  EXPECT_EQ(Address::from_native(v6.native(), v6.native_size()), v6);
  EXPECT_FALSE(Address::from_native(v6.native(), v6.native_size() - 1));
  ::sockaddr other{};
  other.sa_family = AF_PACKET;
  EXPECT_FALSE(Address::from_native(&other, sizeof other));
}

TEST(Address, IsAValue) {
  const std::vector<Address> all = {
      Address(),
      Address::inet("1.2.3.4", 5),
      Address::inet("1.2.3.4", 6),
      Address::inet("1.2.3.5", 5),
      Address::inet("::1", 5),
      Address::inet("::1", 6),
      Address::inet("::2", 5),
      Address::unix_path("/a"),
      Address::unix_path("/b"),
      Address::unix_path("\0/a"s),
  };
  for (std::size_t a = 0; a < all.size(); ++a) {
    for (std::size_t b = 0; b < all.size(); ++b) {
      EXPECT_EQ(all[a] == all[b], a == b) << a << " " << b;
      Address to = all[a];
      to = all[b];
      EXPECT_EQ(to, all[b]);
      Address moved = std::move(to);
      EXPECT_EQ(moved, all[b]);
      EXPECT_FALSE(to);  // NOLINT(bugprone-use-after-move): promised
      to = all[a];
      EXPECT_EQ(to, all[a]);
      moved = std::move(to);
      EXPECT_EQ(moved, all[a]);
    }
  }
}

// -- getaddrinfo, with what needs no name server ------------------------------

TEST(Getaddrinfo, IsDoneAtOnceForANumericAddress) {
  EventLoop loop;
  const auto found = getaddrinfo(loop, "::1", 80);
  ASSERT_TRUE(found.done());
  EXPECT_EQ(found.result(), std::vector<Address>{Address::inet("::1", 80)});
  AddressHints v4;
  v4.family(AF_INET).type(SOCK_DGRAM);
  EXPECT_EQ(getaddrinfo(loop, "127.0.0.1", 1, v4).result().size(), 1u);
  const auto refused = getaddrinfo(loop, "::1", 80, v4);
  ASSERT_TRUE(refused.done());
  EXPECT_EQ(thrown_by([&] { refused.result(); }),
            "rondo::GaiError: [Errno -9] Address family for hostname not "
            "supported: '::1'");
}

TEST(Getaddrinfo, LooksUpThisMachine) {
  EventLoop loop;
  AddressHints hints;
  hints.family(AF_INET);
  const auto local = getaddrinfo(loop, "localhost", 80, hints);
  const auto none = getaddrinfo(loop, "", 81, hints);
  hints.flags(AI_PASSIVE);
  const auto any = getaddrinfo(loop, "", 82, hints);
  ASSERT_TRUE(run_until(
      loop, [&] { return local.done() && none.done() && any.done(); }));
  EXPECT_EQ(local.result().at(0), Address::inet("127.0.0.1", 80));
  EXPECT_EQ(none.result().at(0), Address::inet("127.0.0.1", 81));
  EXPECT_EQ(any.result().at(0), Address::inet("0.0.0.0", 82));
}

TEST(Getaddrinfo, DoesNotEndANameAtANulByte) {
  EventLoop loop;
  const auto found = getaddrinfo(loop, "localhost\0.evil"s, 80);
  ASSERT_TRUE(run_until(loop, [&] { return found.done(); }));
  try {
    found.result();
    FAIL();
  } catch (const GaiError& error) {
    EXPECT_EQ(error.code(), EAI_NONAME);
    EXPECT_STREQ(error.what(),
                 "[Errno -2] Name or service not known: 'localhost\\x00.evil'");
  }
}

TEST(Getnameinfo, GivesTheNamesOfAnAddress) {
  EventLoop loop;
  const auto names = getnameinfo(loop, Address::inet("127.0.0.1", 8888),
                                 NI_NUMERICHOST | NI_NUMERICSERV);
  ASSERT_TRUE(run_until(loop, [&] { return names.done(); }));
  EXPECT_EQ(names.result().host, "127.0.0.1");
  EXPECT_EQ(names.result().service, "8888");
  // Numbers need no thread.
  const auto numbers = getnameinfo(loop, Address::inet("::1", 53),
                                   NI_NUMERICHOST | NI_NUMERICSERV);
  ASSERT_TRUE(numbers.done());
  EXPECT_EQ(numbers.result().host, "::1");
  EXPECT_EQ(numbers.result().service, "53");
  const auto service = getnameinfo(loop, Address::inet("127.0.0.1", 53),
                                   NI_NUMERICHOST | NI_DGRAM);
  EXPECT_FALSE(service.done());
  ASSERT_TRUE(run_until(loop, [&] { return service.done(); }));
  EXPECT_EQ(service.result().host, "127.0.0.1");
  const auto none = getnameinfo(loop, Address());
  ASSERT_TRUE(run_until(loop, [&] { return none.done(); }));
  EXPECT_THROW(none.result(), GaiError);
}

}  // namespace
}  // namespace rondo
