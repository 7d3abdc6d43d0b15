// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "reactor/unique_fd.h"

namespace rondo::test {

/// The descriptors of a random program: four numbers, each of which is closed
/// or names an open file, and the other ends of these files.
///
/// Most files are kept open between two programs by a descriptor that no
/// program sees, and so outlive a close of the number: that is what epoll(7)
/// warns of (Q6). The others are new, and go with their last number.
class ProgramFiles {
 public:
  /// An open file (the kernel's "open file description") of this program.
  using FileId = std::uint32_t;
  static constexpr FileId kNoFile = 0;

  static constexpr std::size_t kNumbers = 4;

  ProgramFiles();
  ProgramFiles(const ProgramFiles&) = delete;
  ProgramFiles& operator=(const ProgramFiles&) = delete;
  ~ProgramFiles();

  /// The descriptor number of a place.
  int number(std::size_t place) const { return first_number_ + int(place); }
  /// What a number names; kNoFile if it is closed, or not one of ours.
  FileId file_at(int number) const;
  /// Whether any number, or the hidden descriptor, names it.
  bool exists(FileId file) const;

  /// Makes the number name another file, of a kind that follows from
  /// `choice`; what it named is closed without a word, as dup2(2) does.
  void open(int number, unsigned choice);
  /// Makes `to` name what `from` names.
  void duplicate(int from, int to);
  /// Closes the number. Returns false if somebody else had done so.
  bool close(int number);

  /// Makes the file readable.
  void feed(FileId file);
  /// Reads all that there is, and makes a full one writable.
  void drain(FileId file);
  /// Writes until it is writable no more.
  void fill(FileId file);
  /// Closes the other end, if that end is no pooled one.
  void hang_up(FileId file);

  /// "socket", or "closed".
  const char* kind_name(int number) const;

  /// Closes and forgets everything. Returns false if a number that should be
  /// open was not.
  bool reset();

 private:
  enum class Kind : std::uint8_t {
    kSocket,
    kPipeReader,
    kPipeWriter,
    kEventfd,
    kNewSocket,
    kNewPipe,
    kRegular,
  };
  struct File {
    Kind kind = Kind::kEventfd;
    int hidden = -1;     // a descriptor that keeps it open, or none
    int peer = -1;       // the other end
    int references = 0;  // numbers that name it
    bool dirty = false;  // holds bytes that the next program must not see
    UniqueFd own_peer;
  };
  static Kind kind_for(unsigned choice);

  FileId make(Kind kind, int number);
  void name(int number, FileId file);
  void unname(int number);
  int handle(const File& file) const;
  File& at(FileId file) { return files_[file - 1]; }
  const File& at(FileId file) const { return files_[file - 1]; }
  FileId& slot(int number);

  UniqueFd socket_, socket_peer_;
  UniqueFd pipe_reader_, pipe_reader_peer_;
  UniqueFd pipe_writer_, pipe_writer_peer_;
  UniqueFd regular_;
  int first_number_ = -1;
  std::array<FileId, kNumbers> named_{};  // by place
  std::vector<File> files_;               // by id, from 1
};

}  // namespace rondo::test
