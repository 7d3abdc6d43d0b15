// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "net/address.h"

// A name server of our own: getaddrinfo(3) of the test program knows the names
// that a test has given, and asks the real one for all others. See
// resolver_faults_test.cc.

namespace rondo::test {

/// What a name means while this lives.
class FakeName {
 public:
  FakeName(std::string name, std::vector<Address> addresses);
  /// It fails with `failure`, one of the EAI_ numbers.
  FakeName(std::string name, int failure);
  FakeName(const FakeName&) = delete;
  FakeName& operator=(const FakeName&) = delete;
  ~FakeName();

 private:
  std::string name_;
};

/// While this lives, a name server does not answer: who asks for `name` is
/// stuck. Its end lets them go, with an answer, and waits until they are gone.
class StuckName {
 public:
  explicit StuckName(std::string name);
  StuckName(const StuckName&) = delete;
  StuckName& operator=(const StuckName&) = delete;
  ~StuckName();

  /// How many are stuck.
  std::size_t asking() const;

 private:
  std::string name_;
};

}  // namespace rondo::test
