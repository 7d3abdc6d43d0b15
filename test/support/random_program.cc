// SPDX-License-Identifier: MIT
#include "test/support/random_program.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace rondo::test {
namespace {

constexpr auto kKinds = static_cast<std::size_t>(OpKind::kCount);

constexpr const char* kNames[] = {"call_soon",     "call_soon_threadsafe",
                                  "post",          "call_later",
                                  "call_at",       "call_at, often,",
                                  "reschedule",    "cancel",
                                  "own",           "destroy owner",
                                  "add_reader",    "add_writer",
                                  "remove_reader", "remove_writer",
                                  "watch",         "modify_watch",
                                  "unwatch",       "open",
                                  "close",         "foreign close",
                                  "duplicate",     "feed",
                                  "drain",         "fill",
                                  "hang up",       "stop",
                                  "throw",         "spend",
                                  "misuse",        "look around",
                                  "close loop",    "fail add",
                                  "fail modify",   "fail remove",
                                  "fail renewal",  "interrupt wait"};
static_assert(std::size(kNames) == kKinds);

/// How often each kind comes up, in parts of the sum of all.
using Weights = std::array<std::uint8_t, kKinds>;

struct Weight {
  OpKind kind;
  std::uint8_t parts;
};

constexpr Weights weights_of(std::initializer_list<Weight> list) {
  Weights weights{};
  for (const Weight& weight : list) {
    weights[static_cast<std::size_t>(weight.kind)] = weight.parts;
  }
  return weights;
}

using enum OpKind;

// Faults hide where few kinds of step meet often, so a program has a bent.
constexpr Weights kBents[] = {
    // Callbacks and how they end.
    weights_of({{kCallSoon, 30},
                {kCallSoonThreadsafe, 6},
                {kPost, 8},
                {kCallLater, 8},
                {kCancel, 16},
                {kOwn, 8},
                {kDestroyOwner, 6},
                {kStop, 5},
                {kThrow, 8},
                {kMisuse, 2},
                {kLookAround, 2},
                {kCloseLoop, 1}}),
    // Timers.
    weights_of({{kCallLater, 22},
                {kCallAt, 17},
                {kCallAtOften, 1},
                {kReschedule, 22},
                {kCancel, 10},
                {kCallSoon, 6},
                {kPost, 3},
                {kOwn, 3},
                {kDestroyOwner, 2},
                {kSpend, 8},
                {kStop, 3},
                {kThrow, 4},
                {kInterruptWait, 2},
                {kLookAround, 1},
                {kCloseLoop, 1}}),
    // Descriptors, used as they should be.
    weights_of({{kOpen, 14},        {kAddReader, 14},   {kAddWriter, 10},
                {kRemoveReader, 7}, {kRemoveWriter, 6}, {kWatch, 8},
                {kModifyWatch, 6},  {kUnwatch, 3},      {kFeed, 14},
                {kDrain, 8},        {kFill, 1},         {kHangUp, 2},
                {kClose, 4},        {kCallSoon, 4},     {kCallLater, 3},
                {kCancel, 2},       {kPost, 2},         {kStop, 2},
                {kThrow, 2},        {kLookAround, 1},   {kCloseLoop, 1}}),
    // Descriptors behind the loop's back: numbers that are closed, kept alive
    // by a duplicate, and used again.
    weights_of({{kOpen, 18},
                {kAddReader, 12},
                {kAddWriter, 14},
                {kRemoveReader, 6},
                {kRemoveWriter, 8},
                {kWatch, 7},
                {kModifyWatch, 4},
                {kUnwatch, 4},
                {kFeed, 12},
                {kDrain, 2},
                {kClose, 3},
                {kForeignClose, 16},
                {kDuplicate, 8},
                {kCallSoon, 6},
                {kCallLater, 2},
                {kPost, 2},
                {kStop, 1}}),
    // A kernel that refuses.
    weights_of({{kOpen, 16},        {kAddReader, 16},   {kAddWriter, 10},
                {kRemoveReader, 6}, {kRemoveWriter, 5}, {kWatch, 8},
                {kModifyWatch, 8},  {kUnwatch, 2},      {kFeed, 12},
                {kDrain, 3},        {kClose, 3},        {kForeignClose, 5},
                {kDuplicate, 3},    {kFailAdd, 7},      {kFailModify, 7},
                {kFailRemove, 4},   {kFailRenewal, 3},  {kInterruptWait, 4},
                {kCallSoon, 3},     {kCallLater, 4},    {kPost, 3},
                {kThrow, 2},        {kStop, 2}}),
    // All of it.
    weights_of({{kCallSoon, 10},    {kCallSoonThreadsafe, 3},
                {kPost, 4},         {kCallLater, 10},
                {kCallAt, 5},       {kReschedule, 6},
                {kCancel, 8},       {kOwn, 4},
                {kDestroyOwner, 3}, {kAddReader, 10},
                {kAddWriter, 6},    {kRemoveReader, 5},
                {kRemoveWriter, 4}, {kWatch, 5},
                {kModifyWatch, 4},  {kUnwatch, 2},
                {kOpen, 12},        {kClose, 3},
                {kForeignClose, 3}, {kDuplicate, 2},
                {kFeed, 10},        {kDrain, 4},
                {kFill, 1},         {kHangUp, 1},
                {kStop, 4},         {kThrow, 4},
                {kSpend, 3},        {kMisuse, 1},
                {kLookAround, 1},   {kFailAdd, 1},
                {kFailModify, 1},   {kInterruptWait, 1},
                {kCloseLoop, 1}}),
};

constexpr unsigned kOpsMin = 5;
constexpr unsigned kOpsMax = 40;

/// Each kind as often as its weight says: a pick is then one look.
std::vector<OpKind> spread(const Weights& weights) {
  std::vector<OpKind> kinds;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    kinds.insert(kinds.end(), weights[kind], static_cast<OpKind>(kind));
  }
  return kinds;
}

const std::vector<OpKind>& bent(std::size_t index) {
  static const auto bents = [] {
    std::array<std::vector<OpKind>, std::size(kBents)> all;
    std::transform(std::begin(kBents), std::end(kBents), all.begin(), spread);
    return all;
  }();
  return bents[index];
}

}  // namespace

void make_random_program(std::uint64_t seed, Program& program) {
  Random random(seed);
  program.seed = seed;
  program.driver = static_cast<Driver>(random.below(3));
  program.passes_per_poll = random.one_in(8) ? 2 + random.below(2) : 1;
  program.timer_resolution = random.one_in(8) ? std::chrono::microseconds(250)
                                              : std::chrono::milliseconds(1);
  const auto& kinds = bent(random.below(std::size(kBents)));
  // Mostly small ones: the least of three.
  unsigned size = kOpsMax;
  for (int i = 0; i < 3; ++i) {
    size = std::min(size, kOpsMin + random.below(kOpsMax - kOpsMin + 1));
  }
  program.ops.clear();
  for (unsigned i = 0; i < size; ++i) {
    const std::uint64_t bits = random.next();
    const OpKind kind = kinds[(bits >> 32) % kinds.size()];
    program.ops.push_back({kind, static_cast<std::uint8_t>(bits),
                           static_cast<std::uint8_t>(bits >> 8),
                           (bits >> 16) % 5 < 2});
  }
}

const char* to_string(OpKind kind) noexcept {
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace rondo::test
