// SPDX-License-Identifier: MIT
#include "test/support/program_files.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <tuple>
#include <utility>

namespace rondo::test {
namespace {

/// These calls prepare a test; if one fails, nothing that follows means
/// anything.
int must(int answer, const char* what) {
  if (answer < 0) {
    std::perror(what);
    std::abort();
  }
  return answer;
}

using Ends = std::pair<UniqueFd, UniqueFd>;

Ends make_sockets() {
  int ends[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                    ends),
       "socketpair");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Ends make_pipe() {
  int ends[2];
  must(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), "pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void read_all(int fd) {
  char buffer[4096];
  while (::read(fd, buffer, sizeof buffer) > 0) {
  }
}

}  // namespace

ProgramFiles::ProgramFiles() {
  std::tie(socket_, socket_peer_) = make_sockets();
  std::tie(pipe_reader_, pipe_reader_peer_) = make_pipe();
  std::tie(pipe_writer_peer_, pipe_writer_) = make_pipe();
  regular_ = UniqueFd(must(::memfd_create("regular", MFD_CLOEXEC), "memfd"));
  // Small, so that fill() is short.
  const int size = 4096;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  ::fcntl(pipe_writer_.get(), F_SETPIPE_SZ, size);
  // Numbers that nobody takes by chance: the kernel hands out the lowest.
  const int far_number =
      must(::fcntl(socket_.get(), F_DUPFD_CLOEXEC, 64), "dup");
  ::close(far_number);
  first_number_ = far_number;
}

ProgramFiles::~ProgramFiles() { reset(); }

ProgramFiles::FileId ProgramFiles::file_at(int number) const {
  const int place = number - first_number_;
  if (place < 0 || place >= static_cast<int>(kNumbers)) return kNoFile;
  return named_[static_cast<std::size_t>(place)];
}

ProgramFiles::FileId& ProgramFiles::slot(int number) {
  return named_[static_cast<std::size_t>(number - first_number_)];
}

bool ProgramFiles::exists(FileId file) const {
  return at(file).references > 0 || at(file).hidden >= 0;
}

ProgramFiles::Kind ProgramFiles::kind_for(unsigned choice) {
  constexpr Kind kKinds[16] = {
      Kind::kSocket,     Kind::kSocket,     Kind::kSocket,
      Kind::kSocket,     Kind::kPipeReader, Kind::kPipeReader,
      Kind::kPipeReader, Kind::kPipeWriter, Kind::kPipeWriter,
      Kind::kEventfd,    Kind::kEventfd,    Kind::kEventfd,
      Kind::kEventfd,    Kind::kNewSocket,  Kind::kNewPipe,
      Kind::kRegular,
  };
  return kKinds[choice % 16];
}

void ProgramFiles::open(int number, unsigned choice) {
  const FileId file = make(kind_for(choice), number);
  unname(number);
  name(number, file);
}

/// Leaves a descriptor of the file under `number`.
ProgramFiles::FileId ProgramFiles::make(Kind kind, int number) {
  File made;
  made.kind = kind;
  UniqueFd fresh;
  switch (kind) {
    case Kind::kSocket:
      made.hidden = socket_.get();
      made.peer = socket_peer_.get();
      break;
    case Kind::kPipeReader:
      made.hidden = pipe_reader_.get();
      made.peer = pipe_reader_peer_.get();
      break;
    case Kind::kPipeWriter:
      made.hidden = pipe_writer_.get();
      made.peer = pipe_writer_peer_.get();
      break;
    case Kind::kRegular:
      made.hidden = regular_.get();
      break;
    case Kind::kEventfd:
      fresh =
          UniqueFd(must(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"));
      break;
    case Kind::kNewSocket:
      std::tie(fresh, made.own_peer) = make_sockets();
      break;
    case Kind::kNewPipe:
      std::tie(fresh, made.own_peer) = make_pipe();
      break;
  }
  if (made.own_peer) made.peer = made.own_peer.get();
  const int source = made.hidden >= 0 ? made.hidden : fresh.get();
  must(::dup3(source, number, O_CLOEXEC), "dup3");
  if (made.hidden >= 0) {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].kind == kind) return static_cast<FileId>(i + 1);
    }
  }
  files_.push_back(std::move(made));
  return static_cast<FileId>(files_.size());
}

void ProgramFiles::duplicate(int from, int to) {
  const FileId file = file_at(from);
  must(::dup3(from, to, O_CLOEXEC), "dup3");
  unname(to);
  name(to, file);
}

bool ProgramFiles::close(int number) {
  unname(number);
  return ::close(number) == 0;
}

void ProgramFiles::name(int number, FileId file) {
  slot(number) = file;
  ++at(file).references;
}

void ProgramFiles::unname(int number) {
  FileId& file = slot(number);
  if (file != kNoFile) --at(file).references;
  file = kNoFile;
}

/// A descriptor through which to use the file: negative if it is gone.
int ProgramFiles::handle(const File& file) const {
  if (file.hidden >= 0) return file.hidden;
  const auto id = static_cast<FileId>(&file - files_.data()) + 1;
  for (std::size_t place = 0; place < kNumbers; ++place) {
    if (named_[place] == id) return number(place);
  }
  return -1;
}

void ProgramFiles::feed(FileId id) {
  File& file = at(id);
  const std::uint64_t one = 1;
  if (!exists(id)) return;
  file.dirty = true;
  switch (file.kind) {
    case Kind::kSocket:
    case Kind::kNewSocket:
      ::send(file.peer, "x", 1, MSG_NOSIGNAL);
      break;
    case Kind::kPipeReader:
    case Kind::kNewPipe:
      static_cast<void>(!::write(file.peer, "x", 1));
      break;
    case Kind::kEventfd:
      static_cast<void>(!::write(handle(file), &one, sizeof one));
      break;
    case Kind::kPipeWriter:
    case Kind::kRegular:
      break;
  }
}

void ProgramFiles::drain(FileId id) {
  File& file = at(id);
  const int fd = handle(file);
  if (fd < 0 || file.kind == Kind::kRegular) return;
  if (file.kind != Kind::kPipeWriter) read_all(fd);
  if (file.peer >= 0 && file.kind != Kind::kPipeReader) read_all(file.peer);
  file.dirty = false;
}

void ProgramFiles::fill(FileId id) {
  File& file = at(id);
  if (file.kind != Kind::kSocket && file.kind != Kind::kPipeWriter) return;
  static constexpr char kBytes[4096] = {};
  file.dirty = true;
  while (::write(file.hidden, kBytes, sizeof kBytes) > 0) {
  }
}

void ProgramFiles::hang_up(FileId id) {
  File& file = at(id);
  if (!file.own_peer) return;
  file.own_peer.reset();
  file.peer = -1;
}

const char* ProgramFiles::kind_name(int number) const {
  constexpr const char* kNames[] = {"socket",      "pipe reader", "pipe writer",
                                    "eventfd",     "new socket",  "new pipe",
                                    "regular file"};
  const FileId file = file_at(number);
  if (file == kNoFile) return "closed";
  return kNames[static_cast<std::size_t>(at(file).kind)];
}

bool ProgramFiles::reset() {
  bool all_open = true;
  for (std::size_t place = 0; place < kNumbers; ++place) {
    if (named_[place] != kNoFile) all_open &= close(number(place));
  }
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].hidden >= 0 && files_[i].dirty) {
      drain(static_cast<FileId>(i + 1));
    }
  }
  files_.clear();
  return all_open;
}

}  // namespace rondo::test
