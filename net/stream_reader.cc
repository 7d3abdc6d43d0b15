// SPDX-License-Identifier: MIT
#include "net/stream_reader.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "net/internal/reader_state.h"
#include "reactor/errors.h"

namespace rondo {

using detail::ReaderState;

namespace {

const std::array<std::string, 1> kNewline{"\n"};

}  // namespace

StreamReader::StreamReader(EventLoop& loop, std::size_t limit)
    : StreamReader(std::make_shared<ReaderState>(loop, limit)) {}

StreamReader::StreamReader(std::shared_ptr<ReaderState> state) noexcept
    : state_(std::move(state)) {}

ReaderState& StreamReader::state() const noexcept {
  return state_.get<ReaderState>();
}

StreamReader::Read StreamReader::read(std::size_t size) const {
  return Read(state_, Read::Kind::kSome, size);
}
StreamReader::Read StreamReader::read() const {
  return Read(state_, Read::Kind::kAll, 0);
}
StreamReader::Read StreamReader::readexactly(std::size_t size) const {
  return Read(state_, Read::Kind::kExactly, size);
}
StreamReader::Read StreamReader::readline() const {
  return Read(state_, Read::Kind::kLine, 0);
}
StreamReader::Read StreamReader::readuntil(std::string separator) const {
  return readuntil(std::vector<std::string>{std::move(separator)});
}
StreamReader::Read StreamReader::readuntil(
    std::initializer_list<std::string> separators) const {
  return readuntil(std::vector<std::string>(separators));
}
StreamReader::Read StreamReader::readuntil(
    std::vector<std::string> separators) const {
  if (separators.empty()) {
    throw std::invalid_argument(
        "Separator should contain at least one element");
  }
  // Of those that end at the same place the shorter is found.
  std::sort(separators.begin(), separators.end(),
            [](const std::string& a, const std::string& b) {
              return a.size() < b.size();
            });
  if (separators.front().empty()) {
    throw std::invalid_argument("Separator should be at least one-byte string");
  }
  return Read(state_, std::move(separators));
}

bool StreamReader::at_eof() const noexcept {
  return state().has_eof() && state().data().empty();
}
std::exception_ptr StreamReader::exception() const noexcept {
  return state().exception();
}
void StreamReader::feed_data(std::string_view data) const {
  state().feed_data(data);
}
void StreamReader::feed_eof() const { state().feed_eof(); }
void StreamReader::set_exception(std::exception_ptr error) const {
  state().set_exception(std::move(error));
}
std::string to_string(const StreamReader& reader) {
  return reader ? reader.state().description() : "<StreamReader>";
}

// -- reading -----------------------------------------------------------------

StreamReader::Read::~Read() {
  if (state_ && wait_ != 0) state().stop_waiting(wait_);
}

Step StreamReader::Read::step(Resumption& resumption) {
  ReaderState& state = this->state();
  const bool has_waited = wait_ != 0;
  if (has_waited) state.stop_waiting(std::exchange(wait_, 0));
  resumption.check();
  if (state.is_awaited()) {
    throw RuntimeError(std::string(name()) +
                       "() called while another coroutine is already waiting "
                       "for incoming data");
  }
  // Who has waited is given what came before the connection failed.
  if (has_waited && try_read()) return Step::done();
  if (state.exception() != nullptr) std::rethrow_exception(state.exception());
  if (!has_waited && try_read()) return Step::done();
  wait_ = state.wait_for_data();
  return Step::wait(state.waiter());
}

std::string StreamReader::Read::result() { return state().take(size_); }

ReaderState& StreamReader::Read::state() const noexcept {
  return state_.get<ReaderState>();
}

const char* StreamReader::Read::name() const noexcept {
  switch (kind_) {
    case Kind::kExactly:
      return "readexactly";
    case Kind::kLine:
    case Kind::kUntil:
      return "readuntil";
    default:
      return "read";
  }
}

/// Whether the first size_ bytes are what it gives.
bool StreamReader::Read::try_read() {
  ReaderState& state = this->state();
  switch (kind_) {
    case Kind::kSome:
      if (size_ > 0 && state.data().empty() && !state.has_eof()) return false;
      size_ = std::min(size_, state.data().size());
      return true;
    case Kind::kAll:
      // Until then it stays in the buffer, and a cancel loses nothing.
      if (!state.has_eof()) return false;
      size_ = state.data().size();
      return true;
    case Kind::kExactly:
      if (state.data().size() < size_) {
        if (!state.has_eof()) return false;
        throw IncompleteReadError(state.take(size_), size_);
      }
      return true;
    case Kind::kLine:
      return try_read_until(kNewline);
    default:
      return try_read_until(*separators_);
  }
}

/// `separators`: the shortest first.
bool StreamReader::Read::try_read_until(
    std::span<const std::string> separators) {
  ReaderState& state = this->state();
  const std::string_view data = state.data();
  const std::size_t shortest = separators.front().size();
  const std::size_t longest = separators.back().size();
  std::size_t begin = std::string_view::npos;  // of the separator found
  std::size_t end = std::string_view::npos;
  for (const std::string& separator : separators) {
    const std::size_t found = data.find(separator, size_);
    if (found != std::string_view::npos && found + separator.size() < end) {
      begin = found;
      end = found + separator.size();
    }
  }
  if (end != std::string_view::npos) {
    if (begin > state.limit()) {
      refuse("Separator is found, but chunk is longer than limit", begin, end);
    }
    size_ = end;
    return true;
  }
  if (data.size() >= longest && data.size() - size_ >= shortest) {
    size_ = data.size() + 1 - longest;
    if (size_ > state.limit()) {
      refuse("Separator is not found, and chunk exceed the limit", size_,
             data.size());
    }
  }
  if (!state.has_eof()) return false;
  if (kind_ != Kind::kLine) {
    throw IncompleteReadError(state.take(data.size()), std::nullopt);
  }
  size_ = data.size();
  return true;
}

/// Over the limit: readuntil() leaves all in the buffer, readline() drops the
/// line, which ends at `end`.
void StreamReader::Read::refuse(const char* text, std::size_t consumed,
                                std::size_t end) {
  if (kind_ != Kind::kLine) throw LimitOverrunError(text, consumed);
  state().drop(end);
  throw std::length_error(text);
}

}  // namespace rondo
