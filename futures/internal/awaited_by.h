// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

namespace rondo::detail {

class FutureState;

/// Who waits for `future`: the tasks that do, in the order in which they came
/// to, each once. Of a gather, a shield and the like that stands between, the
/// tasks that wait for it; it stands for itself if there are none. Nobody
/// waits for what is done.
///
/// Found by looking through the callbacks, so that waiting costs nothing. The
/// stack does not grow with what stands between.
///
/// Source: CPython 3.14's Future._asyncio_awaited_by.
std::vector<FutureState*> awaited_by(const FutureState& future);

}  // namespace rondo::detail
