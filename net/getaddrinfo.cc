// SPDX-License-Identifier: MIT
#include "net/getaddrinfo.h"

#include <netdb.h>

#include <memory>
#include <utility>

#include "futures/run_in_executor.h"
#include "net/internal/net_state.h"
#include "reactor/repr.h"

namespace rondo {

namespace {

std::string gai_text(int code, const std::string& what) {
  return "[Errno " + std::to_string(code) + "] " + ::gai_strerror(code) + ": " +
         what;
}

struct FreeList {
  void operator()(::addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

std::vector<Address> look_up(const std::string& host, std::uint16_t port,
                             const AddressHints& hints) {
  if (host.find('\0') != std::string::npos) {
    throw GaiError(EAI_NONAME, repr(host));  // else it would end there
  }
  ::addrinfo wanted{};
  wanted.ai_family = hints.family();
  wanted.ai_socktype = hints.type();
  wanted.ai_flags = hints.flags();
  ::addrinfo* first = nullptr;
  const int code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                 std::to_string(port).c_str(), &wanted, &first);
  if (code != 0) throw GaiError(code, repr(host));
  const std::unique_ptr<::addrinfo, FreeList> list(first);
  std::vector<Address> addresses;
  for (const ::addrinfo* info = first; info != nullptr; info = info->ai_next) {
    addresses.push_back(Address::from_native(info->ai_addr, info->ai_addrlen));
  }
  return addresses;
}

NameInfo look_up_name(const Address& address, int flags) {
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
  const int code = ::getnameinfo(address.native(), address.native_size(), host,
                                 sizeof host, service, sizeof service, flags);
  if (code != 0) throw GaiError(code, to_string(address));
  return NameInfo(host, service);
}

}  // namespace

GaiError::GaiError(int code, const std::string& what)
    : std::runtime_error(gai_text(code, what)), code_(code) {}

Future<std::vector<Address>> getaddrinfo(EventLoop& loop,
                                         const std::string& host,
                                         std::uint16_t port,
                                         const AddressHints& hints) {
  if (const std::optional<Address> numeric = Address::parse(host, port)) {
    Future<std::vector<Address>> done(loop);
    if (hints.family() == AF_UNSPEC || hints.family() == numeric->family()) {
      done.set_result(std::vector<Address>{*numeric});
    } else {
      done.set_exception(
          std::make_exception_ptr(GaiError(EAI_ADDRFAMILY, repr(host))));
    }
    return done;
  }
  return run_in_executor(loop, &detail::NetState::of(loop).resolver(), look_up,
                         host, port, hints);
}

Future<NameInfo> getnameinfo(EventLoop& loop, const Address& address,
                             int flags) {
  constexpr int kNumbers = NI_NUMERICHOST | NI_NUMERICSERV;
  const bool is_inet =
      address.family() == AF_INET || address.family() == AF_INET6;
  if (is_inet && (flags & kNumbers) == kNumbers) {
    Future<NameInfo> done(loop);
    done.set_result(NameInfo(address.host(), std::to_string(address.port())));
    return done;
  }
  return run_in_executor(loop, &detail::NetState::of(loop).resolver(),
                         look_up_name, address, flags);
}

}  // namespace rondo
