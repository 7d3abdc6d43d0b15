// SPDX-License-Identifier: MIT
#include "net/process.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "futures/gather.h"
#include "net/internal/subprocess_streams.h"

namespace rondo {

namespace {

/// Writes all of a text, as fast as it is read, and closes the stream.
/// asyncio's _feed_stdin.
class FeedStdin : public Operation<FeedStdin, void> {
 public:
  FeedStdin(StreamWriter stdin, std::string input) noexcept
      : stdin_(std::move(stdin)), input_(std::move(input)) {}

  Step step(Resumption& resumption) {
    if (!drain_) resumption.check();
    try {
      if (drain_) {
        const Step step = drain_->step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
        drain_.reset();
      }
      const std::string_view piece =
          std::string_view(input_).substr(written_, kPieceBytes);
      if (!piece.empty()) {
        drain_.emplace(stdin_.write(piece));
        written_ += piece.size();
        return Step::yield();  // others have their turn
      }
    } catch (const std::system_error& error) {
      // The child does not want to know more.
      if (error.code().value() != EPIPE && error.code().value() != ECONNRESET) {
        throw;
      }
    }
    stdin_.close();
    return Step::done();
  }
  void result() noexcept {}
  static constexpr const char* kName = "Process._feed_stdin";

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{64} * 1024;

  StreamWriter stdin_;
  std::string input_;
  std::size_t written_ = 0;
  std::optional<StreamWriter::Drain> drain_;
};

/// Reads a stream to its end, if there is one. asyncio's _read_stream.
class ReadStream : public Operation<ReadStream, std::optional<std::string>> {
 public:
  explicit ReadStream(const StreamReader& reader) {
    if (reader) read_.emplace(reader.read());
  }

  Step step(Resumption& resumption) {
    if (read_) return read_->step(resumption);
    resumption.check();
    return Step::done();
  }
  std::optional<std::string> result() {
    if (!read_) return std::nullopt;
    return read_->result();
  }
  static constexpr const char* kName = "Process._read_stream";

 private:
  std::optional<StreamReader::Read> read_;
};

/// Does nothing. asyncio's _noop.
class Nothing : public Operation<Nothing, void> {
 public:
  Nothing() = default;
  Step step(Resumption& resumption) {
    resumption.check();
    return Step::done();
  }
  void result() noexcept {}
  static constexpr const char* kName = "Process._noop";
};

}  // namespace

// -- the child ---------------------------------------------------------------

Process::Process(std::shared_ptr<SubprocessTransport> transport,
                 const detail::SubprocessStreams& streams)
    : transport_(std::move(transport)) {
  if (streams.writer() != nullptr) stdin = StreamWriter(streams.writer());
  if (streams.reader(1) != nullptr) stdout = StreamReader(streams.reader(1));
  if (streams.reader(2) != nullptr) stderr = StreamReader(streams.reader(2));
}

std::string to_string(const Process& process) {
  return process ? "<Process " + std::to_string(process.pid()) + ">"
                 : "<Process>";
}

Process::Communicate Process::communicate(std::string input) const {
  if (!stdin && !input.empty()) {
    throw std::invalid_argument("communicate: stdin is no pipe");
  }
  return Communicate(*this, std::move(input));
}

Process::Communicate Process::communicate() const {
  return communicate(std::string());
}

// -- a conversation ----------------------------------------------------------

Process::Communicate::~Communicate() {
  if (all_) all_.state()->cancel_quietly();
}

Step Process::Communicate::step(Resumption& resumption) {
  resumption.check();
  if (!all_) {
    begin(resumption.loop());
    return Step::wait(all_);
  }
  if (!exit_) exit_ = process_.wait();
  return exit_.done() ? Step::done() : Step::wait(exit_);
}

void Process::Communicate::begin(EventLoop& loop) {
  stdout_ = create_task(loop, ReadStream(process_.stdout));
  stderr_ = create_task(loop, ReadStream(process_.stderr));
  const Task<void> fed =
      process_.stdin
          ? create_task(loop, FeedStdin(process_.stdin, std::move(input_)))
          : create_task(loop, Nothing());
  all_ = gather(loop, fed, stdout_, stderr_);
}

ProcessOutput Process::Communicate::result() {
  return ProcessOutput(stdout_.take_result(), stderr_.take_result());
}

// -- its beginning -----------------------------------------------------------

Process CreateSubprocess::result() {
  const Subprocess subprocess = exec_.result();
  return Process(
      subprocess.transport,
      static_cast<const detail::SubprocessStreams&>(*subprocess.protocol));
}

namespace {

SubprocessProtocolFactory streams_factory(std::size_t limit) {
  detail::check_limit(limit);
  return [limit] { return std::make_shared<detail::SubprocessStreams>(limit); };
}

}  // namespace

CreateSubprocess create_subprocess_exec(std::vector<std::string> argv,
                                        SubprocessOptions options,
                                        std::size_t limit) {
  return CreateSubprocess(subprocess_exec(streams_factory(limit),
                                          std::move(argv), std::move(options)));
}

CreateSubprocess create_subprocess_shell(std::string command,
                                         SubprocessOptions options,
                                         std::size_t limit) {
  return CreateSubprocess(subprocess_shell(
      streams_factory(limit), std::move(command), std::move(options)));
}

}  // namespace rondo
