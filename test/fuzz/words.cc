// SPDX-License-Identifier: MIT
#include "test/fuzz/words.h"

#include <string_view>

#include "futures/errors.h"
#include "futures/exception_group.h"
#include "futures/sync/barrier.h"
#include "futures/sync/queue.h"

namespace rondo::fuzz {
namespace {

/// As Python's repr; without the repr of an object at the text's end, which
/// has its address.
std::string quoted(std::string_view name, std::string_view text) {
  text = text.substr(0, text.find(": <"));
  std::string quoted(name);
  if (!text.empty()) quoted.append("('").append(text).append("')");
  return quoted;
}

}  // namespace

std::string show(bool value) { return value ? "True" : "False"; }

std::string show(const Value& value) { return value.text.value_or("None"); }

std::string show(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const CancelledError& e) {
    return quoted("CancelledError", e.message().value_or(""));
  } catch (const ExceptionGroup& e) {
    return "ExceptionGroup" + show(e.exceptions());
  } catch (const ValueError& e) {
    return quoted("ValueError", e.what());
  } catch (const InvalidStateError& e) {
    return quoted("InvalidStateError", e.what());
  } catch (const TimeoutError& e) {
    return quoted("TimeoutError", e.what());
  } catch (const QueueEmpty&) {
    return "QueueEmpty";
  } catch (const QueueFull&) {
    return "QueueFull";
  } catch (const BrokenBarrierError& e) {
    return quoted("BrokenBarrierError", e.what());
  } catch (const RuntimeError& e) {
    return quoted("RuntimeError", e.what());
  } catch (const std::invalid_argument& e) {
    return quoted("ValueError", e.what());
  } catch (const std::exception& e) {
    return quoted("std::exception", e.what());
  } catch (...) {
    return "something else";
  }
}

}  // namespace rondo::fuzz
