// SPDX-License-Identifier: MIT
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "futures/run_in_executor.h"
#include "net/create_connection.h"
#include "net/getaddrinfo.h"
#include "test/net/fake_names.h"
#include "test/net/transport_pair.h"

namespace {

struct FakeNames {
  static FakeNames& instance() {
    static FakeNames names;
    return names;
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<rondo::Address>> names;
  std::map<std::string, int> failures;
  std::map<std::string, std::size_t> stuck;  // and how many ask
  std::set<std::string> released;
  std::set<::addrinfo*> given;
};

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

::addrinfo* list_of(FakeNames& fake,
                    const std::vector<rondo::Address>& addresses) {
  ::addrinfo* first = nullptr;
  ::addrinfo** link = &first;
  for (const rondo::Address& address : addresses) {
    auto* info = new ::addrinfo{};
    auto* storage = new ::sockaddr_storage{};
    std::memcpy(storage, address.native(), address.native_size());
    info->ai_family = address.family();
    info->ai_addr = reinterpret_cast<::sockaddr*>(storage);
    info->ai_addrlen = address.native_size();
    fake.given.insert(info);
    *link = info;
    link = &info->ai_next;
  }
  return first;
}

}  // namespace

extern "C" int getaddrinfo(const char* host, const char* service,
                           const ::addrinfo* hints, ::addrinfo** result) {
  FakeNames& fake = FakeNames::instance();
  {
    std::unique_lock lock(fake.mutex);
    const std::string name = host != nullptr ? host : "";
    if (const auto stuck = fake.stuck.find(name); stuck != fake.stuck.end()) {
      ++stuck->second;
      fake.changed.wait(lock, [&] { return fake.released.count(name) != 0; });
      --stuck->second;
      fake.changed.notify_all();
      *result = list_of(fake, {rondo::Address::inet("127.0.0.1", 1)});
      return 0;
    }
    if (const auto found = fake.failures.find(name);
        found != fake.failures.end()) {
      return found->second;
    }
    if (const auto found = fake.names.find(name); found != fake.names.end()) {
      *result = list_of(fake, found->second);
      return 0;
    }
  }
  static auto* const next = real<decltype(::getaddrinfo)>("getaddrinfo");
  return next(host, service, hints, result);
}

extern "C" void freeaddrinfo(::addrinfo* list) noexcept {
  FakeNames& fake = FakeNames::instance();
  {
    const std::lock_guard lock(fake.mutex);
    if (list == nullptr || fake.given.count(list) != 0) {
      while (list != nullptr) {
        ::addrinfo* const next = list->ai_next;
        fake.given.erase(list);
        delete reinterpret_cast<::sockaddr_storage*>(list->ai_addr);
        delete list;
        list = next;
      }
      return;
    }
  }
  static auto* const next = real<void(::addrinfo*)>("freeaddrinfo");
  next(list);
}

namespace rondo {

namespace test {

FakeName::FakeName(std::string name, std::vector<Address> addresses)
    : name_(std::move(name)) {
  const std::lock_guard lock(FakeNames::instance().mutex);
  FakeNames::instance().names[name_] = std::move(addresses);
}

FakeName::FakeName(std::string name, int failure) : name_(std::move(name)) {
  const std::lock_guard lock(FakeNames::instance().mutex);
  FakeNames::instance().failures[name_] = failure;
}

FakeName::~FakeName() {
  const std::lock_guard lock(FakeNames::instance().mutex);
  FakeNames::instance().names.erase(name_);
  FakeNames::instance().failures.erase(name_);
}

StuckName::StuckName(std::string name) : name_(std::move(name)) {
  const std::lock_guard lock(FakeNames::instance().mutex);
  FakeNames::instance().stuck[name_] = 0;
}

StuckName::~StuckName() {
  FakeNames& fake = FakeNames::instance();
  std::unique_lock lock(fake.mutex);
  fake.released.insert(name_);
  fake.changed.notify_all();
  fake.changed.wait(lock, [&] { return fake.stuck[name_] == 0; });
  fake.stuck.erase(name_);
  fake.released.erase(name_);
}

std::size_t StuckName::asking() const {
  const std::lock_guard lock(FakeNames::instance().mutex);
  return FakeNames::instance().stuck[name_];
}

}  // namespace test

namespace {

using test::Calls;
using test::FakeName;
using test::Recorder;
using test::StuckName;

// -- N15: name servers --------------------------------------------------------

TEST(ResolverFaults, EachFailureOfANameServerIsSaid) {
  const std::vector<std::pair<int, std::string>> failures = {
      {EAI_NONAME, "Name or service not known"},      // NXDOMAIN
      {EAI_FAIL, "Non-recoverable failure in name"},  // SERVFAIL for good
      {EAI_AGAIN, "Temporary failure in name"},       // SERVFAIL, a timeout
      {EAI_NODATA, "No address associated with"},     // another record only
      {EAI_MEMORY, "Memory allocation failure"},
  };
  for (const auto& [failure, text] : failures) {
    const FakeName name("fails.test", failure);
    EventLoop loop;
    const auto found = getaddrinfo(loop, "fails.test", 80);
    ASSERT_TRUE(run_until(loop, [&] { return found.done(); }));
    const std::string said = describe(found.exception());
    EXPECT_NE(said.find(text), std::string::npos) << said;
    EXPECT_NE(said.find("'fails.test'"), std::string::npos) << said;
  }
}

TEST(ResolverFaults, NoAddressAtAllIsAnError) {
  const FakeName name("empty.test", std::vector<Address>());
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  auto task = create_connection([] { return std::make_shared<Recorder>(); },
                                "empty.test", 80)
                  .start(loop);
  ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
  EXPECT_NE(task.exception(), nullptr);
  EXPECT_EQ(kernel.calls(KernelCall::kSocket), 0u);
}

TEST(ResolverFaults, AThousandAddressesAreTriedOneAfterTheOther) {
  std::vector<Address> many;
  for (int n = 0; n < 1'000; ++n) {
    many.push_back(Address::inet(
        "127.1." + std::to_string(n / 250) + "." + std::to_string(n % 250 + 1),
        9));
  }
  const FakeName name("many.test", many);
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kConnect, ECONNREFUSED,
              {.times = ScriptedKernel::kForever});
  EventLoop loop(LoopOptions().kernel(kernel));
  const std::size_t open = kernel.open_descriptors().size();
  auto task = create_connection([] { return std::make_shared<Recorder>(); },
                                "many.test", 9)
                  .start(loop);
  ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
  EXPECT_NE(task.exception(), nullptr);
  EXPECT_EQ(kernel.calls(KernelCall::kConnect), 1'000u);
  EXPECT_EQ(kernel.open_descriptors().size(), open);
}

// The pool of names is its own: whatever is stuck there, files go on.
TEST(ResolverFaults, AStuckNameServerDoesNotHoldUpTheExecutor) {
  EventLoop loop;
  const StuckName stuck("stuck.test");
  std::vector<Future<std::vector<Address>>> lookups;
  for (int n = 0; n < 16; ++n) {
    lookups.push_back(getaddrinfo(loop, "stuck.test", 80));
  }
  ASSERT_TRUE(run_until(loop, [&] { return stuck.asking() > 0; }));
  const auto job = run_in_executor(loop, nullptr, [] { return 42; });
  ASSERT_TRUE(run_until(loop, [&] { return job.done(); }));
  EXPECT_EQ(job.result(), 42);
  for (const auto& lookup : lookups) {
    EXPECT_FALSE(lookup.done());
    lookup.cancel();
  }
}

TEST(ResolverFaults, ACancelReturnsAtOnceAndALateAnswerIsDropped) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Reports reports(loop);
  const auto protocol = std::make_shared<Recorder>();
  Task<Connection> task;
  {
    const StuckName stuck("stuck.test");
    task = create_connection([&] { return protocol; }, "stuck.test", 80)
               .start(loop);
    ASSERT_TRUE(run_until(loop, [&] { return stuck.asking() == 1; }));
    task.cancel();
    run_passes(loop, 3);
    EXPECT_TRUE(task.cancelled());
    EXPECT_EQ(stuck.asking(), 1u) << "the thread is still there";
  }
  run_passes(loop, 5);
  EXPECT_EQ(kernel.calls(KernelCall::kConnect), 0u);
  EXPECT_EQ(protocol->calls, Calls());
  EXPECT_EQ(reports.messages, Calls());
}

TEST(ResolverFaults, ALoopMayEndWhileANameServerIsStuck) {
  const StuckName stuck("stuck.test");
  EventLoop loop;
  const auto lookup = getaddrinfo(loop, "stuck.test", 80);
  ASSERT_TRUE(run_until(loop, [&] { return stuck.asking() == 1; }));
  loop.close();  // does not wait for it
  EXPECT_EQ(stuck.asking(), 1u);
  EXPECT_FALSE(lookup.done() && !lookup.cancelled());
}

}  // namespace
}  // namespace rondo
