// SPDX-License-Identifier: MIT
#include "net/internal/subprocess_streams.h"

#include <utility>

namespace rondo::detail {

void SubprocessStreams::connection_made(SubprocessTransport& transport) {
  transport_ = &transport;
  for (int fd = 1; fd <= 2; ++fd) {
    const std::shared_ptr<Transport> pipe = transport.get_pipe_transport(fd);
    if (pipe == nullptr) continue;
    Output& output = outputs_[fd - 1];
    output.reader = std::make_shared<ReaderState>(transport.loop(), limit_);
    output.reader->set_transport(pipe);
    output.is_open = true;
  }
  if (const std::shared_ptr<Transport> pipe = transport.get_pipe_transport(0)) {
    auto writer = std::make_shared<StreamProtocol>(limit_, nullptr);
    writer->connection_made(*pipe);
    stdin_ = std::move(writer);
  }
}

/// Without memory for it the stream is broken: it must not skip anything.
void SubprocessStreams::pipe_data_received(int fd, std::string_view data) {
  const std::shared_ptr<ReaderState>& reader = outputs_[fd - 1].reader;
  try {
    reader->feed_data(data);
  } catch (...) {
    reader->set_exception(std::current_exception());
    transport_->get_pipe_transport(fd)->abort();
  }
}

void SubprocessStreams::pipe_connection_lost(int fd, std::exception_ptr error) {
  if (fd == 0) {
    stdin_->connection_lost(std::move(error));
    return;
  }
  Output& output = outputs_[fd - 1];
  output.is_open = false;
  if (error == nullptr) {
    output.reader->feed_eof();
  } else {
    output.reader->set_exception(std::move(error));
  }
  close_if_done();
}

void SubprocessStreams::process_exited() {
  has_exited_ = true;
  close_if_done();
}

/// Nobody is left to read what is still to be written.
void SubprocessStreams::close_if_done() {
  if (!has_exited_ || outputs_[0].is_open || outputs_[1].is_open) return;
  if (transport_ != nullptr) transport_->close();
}

void SubprocessStreams::connection_lost(std::exception_ptr error) {
  static_cast<void>(error);
  transport_ = nullptr;
}

void SubprocessStreams::pause_writing() { stdin_->pause_writing(); }

void SubprocessStreams::resume_writing() { stdin_->resume_writing(); }

}  // namespace rondo::detail
