// SPDX-License-Identifier: MIT
#include "reactor/snapshot.h"

namespace rondo {

std::string to_string(const Snapshot& snapshot) {
  std::string text = "loop";
  text += snapshot.closed ? " closed" : snapshot.running ? " running" : " idle";
  if (snapshot.stopping) text += " stopping";
  text += " " + to_string(snapshot.stats) + "\n";
  text += "ready (" + std::to_string(snapshot.ready.size()) + ")\n";
  for (const Handle& handle : snapshot.ready) {
    text += "  " + to_string(handle) + "\n";
  }
  text += "timers (" + std::to_string(snapshot.timers.size()) + ")\n";
  for (const TimerHandle& timer : snapshot.timers) {
    text += "  " + to_string(timer) + "\n";
  }
  text += "descriptors (" + std::to_string(snapshot.descriptors.size()) + ")\n";
  for (const auto& descriptor : snapshot.descriptors) {
    text += "  fd=" + std::to_string(descriptor.fd) +
            " interest=" + to_string(descriptor.interest);
    if (descriptor.reader) text += " reader=" + to_string(descriptor.reader);
    if (descriptor.writer) text += " writer=" + to_string(descriptor.writer);
    text += "\n";
  }
  return text;
}

}  // namespace rondo
