// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

namespace glib {

/// A context of its own, and the loop that runs it.
class Loop {
 public:
  Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    g_main_loop_unref(loop_);
    g_main_context_unref(context_);
  }

  GMainContext* get() const { return context_; }
  void run() const { g_main_loop_run(loop_); }
  void stop() const { g_main_loop_quit(loop_); }

  /// Takes `source`: it lives until it is destroyed or has fired.
  void attach(GSource* source, GSourceFunc function, void* data) const {
    g_source_set_callback(source, function, data, nullptr);
    g_source_attach(source, context_);
    g_source_unref(source);
  }

  /// From any thread: the loop will call `function(data)`.
  void post(void (*function)(void*), void* data) const {
    struct Call {
      void (*function)(void*);
      void* data;
    };
    const auto on_call = [](void* call) -> gboolean {
      static_cast<Call*>(call)->function(static_cast<Call*>(call)->data);
      return G_SOURCE_REMOVE;
    };
    g_main_context_invoke_full(
        context_, G_PRIORITY_DEFAULT, on_call, new Call{function, data},
        [](void* call) { delete static_cast<Call*>(call); });
  }

 private:
  GMainContext* context_ = g_main_context_new();
  GMainLoop* loop_ = g_main_loop_new(context_, FALSE);
};

/// What g_source_set_callback() takes, whatever the source calls.
template <class Function>
GSourceFunc as_source_func(Function* function) {
  return reinterpret_cast<GSourceFunc>(reinterpret_cast<void (*)()>(function));
}

}  // namespace glib
