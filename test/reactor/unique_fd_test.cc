// SPDX-License-Identifier: MIT
#include "reactor/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include "reactor/testing/scripted_kernel.h"
#include "test/support/descriptors.h"

namespace rondo {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFd>);

TEST(UniqueFd, OwnsNothingByDefault) {
  const UniqueFd none;
  EXPECT_FALSE(none);
  EXPECT_LT(none.get(), 0);
}

TEST(UniqueFd, ClosesWhatItOwns) {
  int number = -1;
  {
    const UniqueFd fd = make_eventfd();
    number = fd.get();
    EXPECT_TRUE(fd);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, TakesZeroForADescriptor) {
  ScriptedKernel kernel;
  UniqueFd zero(0, kernel);
  EXPECT_TRUE(zero);
  EXPECT_EQ(zero.release(), 0);  // it is not ours to close
}

TEST(UniqueFd, TakesANegativeNumberForNone) {
  ScriptedKernel kernel;
  {
    const UniqueFd none(-5, kernel);
  }
  EXPECT_EQ(kernel.calls(KernelCall::kClose), 0u);
}

TEST(UniqueFd, GivesAwayWhenMovedFrom) {
  ScriptedKernel kernel;
  UniqueFd first(kernel.eventfd(), kernel);
  const int number = first.get();
  UniqueFd second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): it is promised
  EXPECT_EQ(second.get(), number);
  UniqueFd third;
  third = std::move(second);
  EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(third.get(), number);
  EXPECT_EQ(kernel.calls(KernelCall::kClose), 0u);
  third.reset();
  EXPECT_TRUE(kernel.open_descriptors().empty()) << "closed by its own kernel";
}

// "Closes its own descriptor, then takes over what `other` owned."
TEST(UniqueFd, ClosesItsOwnWhenAssignedTo) {
  ScriptedKernel kernel;
  UniqueFd first(kernel.eventfd(), kernel);
  UniqueFd second(kernel.eventfd(), kernel);
  const int kept = second.get();
  first = std::move(second);
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>{kept});
  first = UniqueFd();
  EXPECT_TRUE(kernel.open_descriptors().empty());
  EXPECT_TRUE(kernel.ledger_errors().empty());
}

TEST(UniqueFd, SurvivesAnAssignmentToItself) {
  UniqueFd fd = make_eventfd();
  const int number = fd.get();
  UniqueFd& same = fd;
  fd = std::move(same);
  EXPECT_EQ(fd.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(UniqueFd, ReleasesUnclosed) {
  ScriptedKernel kernel;
  UniqueFd fd(kernel.eventfd(), kernel);
  const int number = fd.release();
  EXPECT_FALSE(fd);
  fd.reset();
  EXPECT_TRUE(is_open(number));
  kernel.close(number);
  EXPECT_TRUE(kernel.ledger_errors().empty());
}

// R10: "close() EINTR is never retried (the fd is gone on Linux)". A second
// close would hit whoever has the number by then.
TEST(UniqueFd, NeverClosesTwice) {
  for (const int number : {EINTR, EIO, ENOSPC, EDQUOT, EBADF}) {
    ScriptedKernel kernel;
    UniqueFd fd(kernel.eventfd(), kernel);
    kernel.fail(KernelCall::kClose, number);
    fd.reset();
    fd.reset();
    EXPECT_EQ(kernel.calls(KernelCall::kClose), 1u);
    EXPECT_TRUE(kernel.ledger_errors().empty());
  }
}

}  // namespace
}  // namespace rondo
