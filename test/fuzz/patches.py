# SPDX-License-Identifier: MIT
"""What the fuzzer changes in CPython 3.11.2's asyncio, and why.

Each patch is a function; README.md has the list. Three kinds:

- `order`: 3.11 leaves an order to a hash table. It becomes the order in which
  things were given.
- `later`: a fault of 3.11.2 that a later CPython has mended, and rondo follows
  the mended one. The code is that of the later version.
"""
import asyncio
import ctypes
import inspect
from asyncio import exceptions, locks, taskgroups, tasks, timeouts

PATCHES = {}  # name: function


def patch(function):
    PATCHES[function.__name__] = function
    return function


def apply(stock):
    """Applies all patches but those named in `stock`."""
    unknown = stock - set(PATCHES) - {'all'}
    if unknown:
        raise SystemExit(f'no such patch: {", ".join(sorted(unknown))}')
    for name, function in PATCHES.items():
        if name not in stock and 'all' not in stock:
            function()


class OrderedSet(dict):
    """As much of a set as asyncio uses, in order of insertion."""

    def __init__(self, items=()):
        super().__init__(dict.fromkeys(items))

    def add(self, item):
        self[item] = None

    def discard(self, item):
        self.pop(item, None)

    remove = dict.__delitem__


def rewrite(module, name, *changes):
    """Replaces a function of a module by its own source, changed."""
    source = inspect.getsource(getattr(module, name))
    for old, new in changes:
        assert old in source, (name, old)
        source = source.replace(old, new)
    exec(compile(source, f'<{name}, changed>', 'exec'), vars(module))
    setattr(asyncio, name, getattr(module, name))


# ---- order -----------------------------------------------------------------

@patch
def order_as_completed():
    """as_completed() registers its callbacks in the order of its arguments."""
    tasks.OrderedSet = OrderedSet
    rewrite(tasks, 'as_completed',
            ('{ensure_future(f, loop=loop) for f in set(fs)}',
             'OrderedSet(ensure_future(f, loop=loop) for f in OrderedSet(fs))'))


@patch
def order_group():
    """A TaskGroup cancels its tasks in the order in which they were made."""
    taskgroups.set = OrderedSet


# ---- uncancel() of 3.13 ----------------------------------------------------

def must_cancel_offset():
    """Where a C task has its _must_cancel, which Python can only read."""

    async def nothing():
        pass

    loop = asyncio.new_event_loop()
    task = loop.create_task(nothing())
    before = ctypes.string_at(id(task), asyncio.Task.__basicsize__)
    task.cancel()
    after = ctypes.string_at(id(task), asyncio.Task.__basicsize__)
    found = None
    for offset in range(0, len(before) - 3, 4):
        here = slice(offset, offset + 4)
        if before[here] == bytes(4) and after[here] == b'\1\0\0\0':
            number = ctypes.c_int.from_address(id(task) + offset)
            number.value = 0
            if not task._must_cancel and task.cancelling() == 1:
                found = offset
            number.value = 1
    assert found is not None and task._must_cancel
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    return found


_offset = must_cancel_offset()


def take_back_cancel(task):
    """uncancel() for who made the cancel(): 3.13's (gh-117407).

    At zero, one that is not delivered yet is taken back, too.
    """
    left = task.uncancel()
    if left == 0:
        ctypes.c_int.from_address(id(task) + _offset).value = 0
    return left


# ---- later -----------------------------------------------------------------

@patch
def later_wait_for():
    """3.12: built on timeout(); never hides a cancel (gh-86296, gh-98327)."""

    async def wait_for(fut, timeout):
        if timeout is not None and timeout <= 0:
            fut = tasks.ensure_future(fut)

            if fut.done():
                return fut.result()

            await tasks._cancel_and_wait(
                fut, loop=asyncio.get_running_loop())
            try:
                return fut.result()
            except exceptions.CancelledError as exc:
                raise TimeoutError from exc

        async with timeouts.timeout(timeout):
            return await fut

    tasks.wait_for = asyncio.wait_for = wait_for


@patch
def later_timeout():
    """3.12: cancels from before the block are not its own (gh-102780).

    Also its words for a misused reschedule(), and 3.13's issubclass.
    """
    State = timeouts._State

    def reschedule(self, when):
        if self._state is not State.ENTERED:
            if self._state is State.CREATED:
                raise RuntimeError('Timeout has not been entered')
            raise RuntimeError(
                f'Cannot change state of {self._state.value} Timeout')
        self._when = when
        if self._timeout_handler is not None:
            self._timeout_handler.cancel()
        if when is None:
            self._timeout_handler = None
        else:
            loop = asyncio.get_running_loop()
            if when <= loop.time():
                self._timeout_handler = loop.call_soon(self._on_timeout)
            else:
                self._timeout_handler = loop.call_at(when, self._on_timeout)

    async def __aenter__(self):
        if self._state is not State.CREATED:
            raise RuntimeError('Timeout has already been entered')
        task = tasks.current_task()
        if task is None:
            raise RuntimeError('Timeout should be used inside a task')
        self._state = State.ENTERED
        self._task = task
        self._cancelling = task.cancelling()
        self.reschedule(self._when)
        return self

    async def __aexit__(self, exc_type, exc_val, exc_tb):
        if self._timeout_handler is not None:
            self._timeout_handler.cancel()
            self._timeout_handler = None
        if self._state is State.EXPIRING:
            self._state = State.EXPIRED
            if (take_back_cancel(self._task) <= self._cancelling
                    and exc_type is not None):
                if issubclass(exc_type, exceptions.CancelledError):
                    raise TimeoutError from exc_val
        elif self._state is State.ENTERED:
            self._state = State.EXITED
        return None

    timeouts.Timeout.reschedule = reschedule
    timeouts.Timeout.__aenter__ = __aenter__
    timeouts.Timeout.__aexit__ = __aexit__


@patch
def later_group():
    """The parent's cancels are kept (3.13: gh-116720, 3.15: gh-155433).

    The uncancel() that belongs to the group's own cancel() comes when all
    tasks have ended (3.11: before), and a cancel from outside that meets
    errors is given again to the parent at its next await. Also 3.15's cancel().
    """

    async def __aexit__(self, et, exc, tb):
        self._exiting = True
        if (exc is not None and self._is_base_error(exc)
                and self._base_error is None):
            self._base_error = exc
        if et is not None and issubclass(et, exceptions.CancelledError):
            propagate_cancellation_error = exc
        else:
            propagate_cancellation_error = None
        if et is not None:
            if not self._aborting:
                self._abort()
        pending_cancellation_error = None
        while self._tasks:
            if self._on_completed_fut is None:
                self._on_completed_fut = self._loop.create_future()
            try:
                await self._on_completed_fut
            except exceptions.CancelledError as ex:
                pending_cancellation_error = ex
                if not self._aborting:
                    propagate_cancellation_error = ex
                    self._abort()
            self._on_completed_fut = None
        assert not self._tasks
        if self._base_error is not None:
            raise self._base_error
        if self._parent_cancel_requested:
            if take_back_cancel(self._parent_task) == 0:
                propagate_cancellation_error = None
            elif propagate_cancellation_error is None:
                propagate_cancellation_error = pending_cancellation_error
        if propagate_cancellation_error is not None and not self._errors:
            raise propagate_cancellation_error
        if et is not None and not issubclass(et, exceptions.CancelledError):
            self._errors.append(exc)
        if self._errors:
            if self._parent_task.cancelling():
                self._parent_task.uncancel()
                self._parent_task.cancel()
            try:
                raise BaseExceptionGroup(
                    'unhandled errors in a TaskGroup', self._errors) from None
            finally:
                self._errors = None
        return True

    def cancel(self):
        if self._exiting and not self._tasks:
            return
        if not self._aborting:
            self._abort()
            if self._parent_task and not self._parent_cancel_requested:
                self._parent_cancel_requested = True
                self._parent_task.cancel()

    taskgroups.TaskGroup.__aexit__ = __aexit__
    taskgroups.TaskGroup.cancel = cancel


@patch
def later_semaphore():
    """3.13: no wake-up is lost when a waiter is cancelled (gh-112202)."""

    async def acquire(self):
        if not self.locked():
            self._value -= 1
            return True
        if self._waiters is None:
            self._waiters = locks.collections.deque()
        fut = self._get_loop().create_future()
        self._waiters.append(fut)
        try:
            try:
                await fut
            finally:
                self._waiters.remove(fut)
        except exceptions.CancelledError:
            if fut.done() and not fut.cancelled():
                self._value += 1
            raise
        finally:
            while self._value > 0:
                if not self._wake_up_next():
                    break
        return True

    def _wake_up_next(self):
        if not self._waiters:
            return False
        for fut in self._waiters:
            if not fut.done():
                self._value -= 1
                fut.set_result(True)
                return True
        return False

    locks.Semaphore.acquire = acquire
    locks.Semaphore._wake_up_next = _wake_up_next


@patch
def later_condition():
    """3.13: a cancelled wait() passes its notification on (gh-112202).

    It also raises the error that it caught, message and all, instead of a
    new one (gh-111693).
    """

    async def wait(self):
        if not self.locked():
            raise RuntimeError('cannot wait on un-acquired lock')
        fut = self._get_loop().create_future()
        self.release()
        try:
            try:
                self._waiters.append(fut)
                try:
                    await fut
                    return True
                finally:
                    self._waiters.remove(fut)
            finally:
                err = None
                while True:
                    try:
                        await self.acquire()
                        break
                    except exceptions.CancelledError as e:
                        err = e
                if err is not None:
                    try:
                        raise err
                    finally:
                        err = None
        except BaseException:
            self._notify(1)
            raise

    def notify(self, n=1):
        if not self.locked():
            raise RuntimeError('cannot notify on un-acquired lock')
        self._notify(n)

    def _notify(self, n):
        idx = 0
        for fut in self._waiters:
            if idx >= n:
                break
            if not fut.done():
                idx += 1
                fut.set_result(False)

    locks.Condition.wait = wait
    locks.Condition.notify = notify
    locks.Condition._notify = _notify


# ---- ours ------------------------------------------------------------------

@patch
def ours_barrier():
    """An index is given once in each round (gh-155233, still open there)."""

    async def wait(self):
        taken = self.__dict__.setdefault('_taken', set())
        async with self._cond:
            await self._block()
            try:
                index = 0
                while index in taken:
                    index += 1
                taken.add(index)
                self._count += 1
                if self._count == self._parties:
                    await self._release()
                else:
                    await self._wait()
                return index
            finally:
                taken.discard(index)
                self._count -= 1
                self._exit()

    locks.Barrier.wait = wait


@patch
def ours_cancel_message():
    """A cancelled task tells its message to all who ask, not to the first.

    interpreter.py: keep_message().
    """


def leave_as_completed(iterator):
    pass


@patch
def ours_as_completed():
    """One that is left early takes its timer and its callbacks back."""

    def leave(iterator):
        if iterator.gi_frame is None:
            return
        names = iterator.gi_frame.f_locals
        if names.get('timeout_handle') is not None:
            names['timeout_handle'].cancel()
        for future in names.get('todo', ()):
            future.remove_done_callback(names['_on_completion'])

    global leave_as_completed
    leave_as_completed = leave


@patch
def ours_shield_message():
    """shield() passes the message of a cancelled inner future on."""
    rewrite(tasks, 'shield', ('outer.cancel()',
                              'outer.cancel(inner._cancel_message)'))


@patch
def ours_gather_message():
    """A gather that was cancelled has its last child's message only if that
    was cancelled, not one left over from a cancel() that the child swallowed.
    """
    rewrite(tasks, 'gather',
            ("""                # See issue 32684.
                exc = fut._make_cancelled_error()
""", """                # See issue 32684.
                exc = (fut._make_cancelled_error() if fut.cancelled()
                       else exceptions.CancelledError())
"""))
