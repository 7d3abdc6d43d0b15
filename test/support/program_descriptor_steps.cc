// SPDX-License-Identifier: MIT
#include <iterator>

#include "test/support/program_runner.h"

// What a program does with descriptors: as the loop sees them, and as the rest
// of the program does.

namespace rondo::test {
namespace {

constexpr Events kInterests[] = {
    Events::kRead,
    Events::kWrite,
    Events::kRead | Events::kWrite,
    Events::kNone,
    Events::kRead | Events::kOneShot,
    Events::kWrite | Events::kOneShot,
    Events::kRead | Events::kEdgeTriggered,
    Events::kRead | Events::kReadHangup,
};

}  // namespace

// -- descriptors and the loop ------------------------------------------------

/// Mostly the same few: faults come from what meets there.
int ProgramRunner::number(const Op& op) const {
  constexpr std::size_t kPlaces[] = {0, 0, 0, 0, 1, 1, 2, 3};
  static_assert(ProgramFiles::kNumbers == 4);
  return files_.number(choose(kPlaces, op.a));
}

/// The same for a registration. A closed number is mostly opened first: half
/// of the steps would be refused otherwise.
int ProgramRunner::open_number(const Op& op) {
  const int fd = number(op);
  if (files_.file_at(fd) == ProgramFiles::kNoFile && op.b % 8 != 0) {
    files_.open(fd, op.b);
    note("open ", fd, " (", files_.kind_name(fd), ")");
  }
  return fd;
}

void ProgramRunner::add(Kind kind, const Op& op) {
  const int fd = open_number(op);
  const Id id = create(kind, op);
  note(to_string(op.kind), " ", fd, " (", files_.kind_name(fd), ") -> #", id);
  auto callback = guest<Callback>(id, op);
  const bool refuses = closed_ || model_.has(Kind::kWatch, fd);
  DescriptorCall frame{fd, false};
  const Outcome outcome = attempt(frame, [&] {
    if (kind == Kind::kReader) {
      loop_->add_reader(fd, std::move(callback));
    } else {
      loop_->add_writer(fd, std::move(callback));
    }
  });
  if (refuses) {
    expect_refusal(outcome, "add_reader or add_writer where it cannot be");
  } else if (is_settled(frame, outcome)) {
    model_.set(kind, fd, id);
  }
  if (!deaths_come_early()) bury();
}

void ProgramRunner::watch(const Op& op) {
  const int fd = open_number(op);
  const Events interest = choose(kInterests, op.b);
  const Id id = create(Kind::kWatch, op);
  note("watch ", fd, " (", files_.kind_name(fd), ") for ", to_string(interest),
       " -> #", id);
  auto callback = guest<EventLoop::WatchCallback>(id, op);
  const bool refuses =
      closed_ || model_.has(Kind::kReader, fd) || model_.has(Kind::kWriter, fd);
  DescriptorCall frame{fd, false};
  const Outcome outcome =
      attempt(frame, [&] { loop_->watch(fd, interest, std::move(callback)); });
  if (refuses) {
    expect_refusal(outcome, "watch() where it cannot be");
  } else if (is_settled(frame, outcome)) {
    model_.set(Kind::kWatch, fd, id);
    model_.set_interest(fd, interest);
  }
  if (!deaths_come_early()) bury();
}

void ProgramRunner::modify_watch(const Op& op) {
  const int fd = number(op);
  const Events interest = choose(kInterests, op.b);
  note("modify_watch ", fd, " to ", to_string(interest));
  const bool refuses = closed_ || !model_.has(Kind::kWatch, fd);
  DescriptorCall frame{fd, false};
  const Outcome outcome =
      attempt(frame, [&] { loop_->modify_watch(fd, interest); });
  if (refuses) {
    expect_refusal(outcome, "modify_watch() of what is not watched");
  } else if (is_settled(frame, outcome)) {
    model_.set_interest(fd, interest);
  }
  if (!deaths_come_early()) bury();
}

void ProgramRunner::remove(Kind kind, int fd) {
  note("remove_",
       kind == Kind::kReader   ? "reader "
       : kind == Kind::kWriter ? "writer "
                               : "watch ",
       fd);
  const bool had = !closed_ && model_.has(kind, fd);
  if (!closed_) model_.remove(kind, fd);
  bool removed = false;
  DescriptorCall frame{fd, true};
  const Outcome outcome = attempt(frame, [&] {
    removed = kind == Kind::kReader   ? loop_->remove_reader(fd)
              : kind == Kind::kWriter ? loop_->remove_writer(fd)
                                      : loop_->unwatch(fd);
  });
  expect(outcome.type == Outcome::Type::kDone, "remove_... threw");
  expect(removed == had, "remove_...'s answer");
}

// -- descriptors and the rest of the program ---------------------------------

void ProgramRunner::change_number(const Op& op) {
  const int fd = number(op);
  const ProgramFiles::FileId before = files_.file_at(fd);
  const int other = files_.number(op.b % 4);
  note(to_string(op.kind), " ", fd, " (", files_.kind_name(fd), ")");
  switch (op.kind) {
    case OpKind::kOpen:
      // Mostly a closed number; a dup2(2) over an open one is rare.
      if (before != ProgramFiles::kNoFile && op.b % 4 != 0) return;
      rough_ |= before != ProgramFiles::kNoFile;
      files_.open(fd, op.b);
      note("  now a ", files_.kind_name(fd));
      break;
    case OpKind::kClose:
      remove(Kind::kReader, fd);
      remove(Kind::kWriter, fd);
      remove(Kind::kWatch, fd);
      [[fallthrough]];
    case OpKind::kForeignClose:
      if (files_.file_at(fd) == ProgramFiles::kNoFile) return;
      rough_ |= op.kind == OpKind::kForeignClose;
      expect(files_.close(fd), "the loop closed what it does not own");
      break;
    default:
      if (before == ProgramFiles::kNoFile) return;
      if (files_.file_at(other) != ProgramFiles::kNoFile) return;
      files_.duplicate(fd, other);
      note("  as ", other);
      break;
  }
  if (before != ProgramFiles::kNoFile && !files_.exists(before)) {
    kernel_->forget_file(before);
  }
}

void ProgramRunner::use_file(const Op& op) {
  const int fd = number(op);
  const ProgramFiles::FileId file = files_.file_at(fd);
  if (file == ProgramFiles::kNoFile) return;
  note(to_string(op.kind), " ", fd);
  if (op.kind == OpKind::kFeed) files_.feed(file);
  if (op.kind == OpKind::kDrain) files_.drain(file);
  if (op.kind == OpKind::kFill) files_.fill(file);
  if (op.kind == OpKind::kHangUp) files_.hang_up(file);
}

}  // namespace rondo::test
