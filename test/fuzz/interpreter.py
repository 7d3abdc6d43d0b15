#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""interpreter.py [--stock NAME]...: runs programs over asyncio.

Reads programs of the language that README.md describes from stdin and writes
what they did to stdout. --stock leaves one of our patches to CPython out
(`all`: all of them).

The time is virtual: a count of milliseconds that jumps when nothing is ready.
"""
import asyncio
import gc
import heapq
import sys
import warnings
from asyncio import events
from collections import deque

import patches

TASKS_MAX = 30      # bodies that a program may start
CALLBACKS_MAX = 40  # callbacks that a program may schedule
RUNS_MAX = 20       # times that a program may stop the loop
PASSES_MAX = 20_000

CancelledError = asyncio.CancelledError
Handle = events.Handle
current_task = asyncio.current_task
sleep = asyncio.sleep


# ---- The loop --------------------------------------------------------------

class Loop(asyncio.BaseEventLoop):
    """BaseEventLoop with a virtual clock and without descriptors.

    _run_once is CPython's, but for the clock, and for timers with the same
    deadline: they run in the order in which they were made.
    """

    def __init__(self):  # without the base's: it takes longer than a program
        self._ready = deque()
        self._scheduled = []
        self._timers_made = 0
        self._stopping = False
        self._idle = False
        self._debug = False
        self._closed = False
        self._task_factory = None
        self._timer_cancelled_count = 0
        self.now = 0
        self.passes = 0
        self.awaits_itself = None  # a task that does, in this step
        self.kept = 0  # calls of our keep_message() in this pass

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        if keeps_messages:
            task.add_done_callback(self.keep_message)
        return task

    def keep_message(self, task):
        self.kept += 1
        keep_message(task)

    def __del__(self):
        pass

    def __repr__(self):
        return '<Loop>'

    def time(self):
        return self.now

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def _timer_handle_cancelled(self, handle):
        pass

    def call_soon(self, callback, *args, context=None):
        handle = Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = events.TimerHandle(when, callback, args, self, context)
        self._timers_made += 1
        heapq.heappush(self._scheduled, (when, self._timers_made, handle))
        return handle

    def call_exception_handler(self, context):
        message = context['message']
        if 'never retrieved' in message or 'was destroyed' in message:
            return  # when these come depends on the garbage collector
        if message.startswith('Exception in callback'):
            message = 'Exception in callback'
        elif message.startswith('Task '):
            message = 'Task has errored out but its parent is already completed'
        world.trace('handler', f'{message}: {show(context.get("exception"))}')

    def _run_once(self):
        scheduled, ready = self._scheduled, self._ready
        while scheduled and scheduled[0][2]._cancelled:
            heapq.heappop(scheduled)
        if not ready and not self._stopping:
            if not scheduled:
                self._idle = True  # CPython would wait for ever
                return
            self.now = max(self.now, scheduled[0][0])
        while scheduled and scheduled[0][0] <= self.now:
            ready.append(heapq.heappop(scheduled)[2])
        self.passes += 1
        self.kept = 0
        count = len(ready)
        for _ in range(count):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
                if self.awaits_itself is not None:
                    # CPython leaves its mark on it, so that whoever awaits it
                    # later gets "await wasn't used with future".
                    self.awaits_itself._asyncio_future_blocking = False
                    self.awaits_itself = None
        if self.kept == count:
            self.passes -= 1  # that pass was our own

    def run(self):
        """run_forever(), but ends when nothing is left that could happen.

        Returns why it ended.
        """
        self._idle = False
        try:
            while True:
                self._run_once()
                if self._idle:
                    return 'idle'
                if self._stopping:
                    return 'stopped'
                if self.passes > PASSES_MAX:
                    return 'endless'
        finally:
            self._stopping = False


class Recursion(SystemExit):
    """Tasks wait for each other in a ring, and one of them was cancelled.

    CPython's cancel() goes round until the stack's limit. Ends the program:
    nothing that catches Exception holds it up.
    """


# ---- Words for values ------------------------------------------------------

def show(value):
    """A value or an exception in the words of the trace."""
    if value is None or type(value) is str:
        return value or 'None'
    if isinstance(value, list):
        return '[' + ', '.join(map(show, value)) + ']'
    if not isinstance(value, BaseException):
        return str(value)
    name = type(value).__name__
    if name == 'RecursionError':
        world.ring = True
        raise Recursion
    if isinstance(value, BaseExceptionGroup):
        return name + '[' + ', '.join(map(show, value.exceptions)) + ']'
    text = str(value)
    cut = text.find(': <')  # the repr of an object: has its address
    if cut >= 0:
        text = text[:cut]
    # Nobody's business: 3.11 tells CancelledError(), ('') and (None) apart.
    return f"{name}('{text}')" if text and text != 'None' else name


keeps_messages = True  # the patch ours_cancel_message


def keep_message(future):
    """Lets a task that was cancelled tell its message again.

    CPython gives the CancelledError with the message to the first who asks;
    all others get one without.
    """
    if keeps_messages and future.cancelled():
        try:
            future.exception()
        except CancelledError as error:
            if error.args:
                future._cancel_message = error.args[0]


def state(future):
    """The state of a future, and of how it ended."""
    if not future.done():
        return 'pending'
    keep_message(future)
    try:
        error = future.exception()
    except CancelledError as cancelled:
        return 'cancelled ' + show(cancelled)
    if error is not None:
        return 'exception ' + show(error)
    return 'result ' + show(future.result())


# ---- A program's world -----------------------------------------------------

class World:
    """All that a program has."""

    def __init__(self, bodies, callbacks):
        self.loop = Loop()
        self.lines = []
        self.names = {}      # what the program calls by name
        self.bodies = bodies
        self.callbacks = callbacks
        self.bodies_started = 0
        self.callbacks_made = 0
        self.tasks = []      # (label, task) of each that was spawned
        self.others = []     # other tasks: somebody must keep them
        self.callables = {}
        self.ring = False    # a RecursionError has been seen

    def trace(self, who, what):
        self.lines.append(f'{self.loop.now}.{self.loop.passes} {who} {what}')

    def callable_of(self, name):
        """The callback's function: the same each time, so it can be removed."""
        function = self.callables.get(name)
        if function is None:
            ops = self.callbacks[name]

            def function(*args):
                run_callback(name, ops, args)
            self.callables[name] = function
        return function

    def may_call(self, name):
        """Whether one more callback may be scheduled: their number is bounded."""
        if self.callbacks_made >= CALLBACKS_MAX or name not in self.callbacks:
            return False
        self.callbacks_made += 1
        return True


world = None


class Frame:
    """Who runs a block of operations."""

    __slots__ = ('label', 'handling')

    def __init__(self, label):
        self.label = label
        self.handling = []


def start_body(name):
    """A coroutine that runs a body, and its label; None beyond the bound."""
    ops = world.bodies.get(name)
    if ops is None or world.bodies_started >= TASKS_MAX:
        return None, None
    label = f'{name}.{world.bodies_started}'
    world.bodies_started += 1
    return run_body(label, ops), label


def start_task(name, create_task=None):
    """A task that runs a body; None beyond the bound."""
    coroutine, label = start_body(name)
    if coroutine is None:
        return None
    try:
        task = (create_task or world.loop.create_task)(coroutine)
    except BaseException:
        coroutine.close()
        raise
    world.tasks.append((label, task))
    return task


async def run_body(label, ops):
    world.trace(label, 'begins')
    try:
        returned = await run_block(Frame(label), ops)
    except BaseException as error:
        world.trace(label, 'ends ! ' + show(error))
        raise
    value = returned[0] if returned else None
    world.trace(label, 'ends = ' + show(value))
    return value


def run_callback(name, ops, args):
    label = name + '()'
    world.trace(label, 'given ' + state(args[0]) if args else 'called')
    frame = Frame(label)
    for _, text, run, _ in ops:
        do(frame, text, run)


def do(frame, text, run):
    """Runs an operation that does not wait."""
    try:
        value = run(frame)
    except BaseException as error:
        world.trace(frame.label, f'{text} ! {show(error)}')
        raise
    world.trace(frame.label, text if value is None else f'{text} = {show(value)}')


def about_to_await(found):
    """Meets two faults of CPython: see README.md, `ours_...`."""
    if asyncio.isfuture(found):
        if found.done():
            keep_message(found)
        elif found is current_task(world.loop):
            world.loop.awaits_itself = found


async def run_block(frame, ops):
    """Runs operations; returns (value,) if one of them was a return."""
    for kind, text, run, block in ops:
        if kind == SYNC:
            do(frame, text, run)
        elif kind == ASYNC:
            try:
                value = await run(frame)
            except BaseException as error:
                world.trace(frame.label, f'{text} ! {show(error)}')
                raise
            world.trace(frame.label,
                        text if value is None else f'{text} = {show(value)}')
        elif kind == BLOCK:
            returned = await run(frame, text, block)
            if returned:
                return returned
        else:  # RETURN
            return (run,)
    return None


# ---- Operations: from words to functions -----------------------------------

SYNC, ASYNC, BLOCK, RETURN = range(4)
OPERATIONS = {}  # word: (kind, function of the words that makes a function)


def operation(kind):
    def register(make):
        OPERATIONS[make.__name__.rstrip('_')] = kind, make
        return make
    return register


def named(name):
    """A function that finds a future by name."""
    if name == 'self':
        return current_task_or_none
    return lambda: world.names.get(name)


def current_task_or_none():
    return current_task(world.loop)


def awaitable(name):
    """A function that finds a future, or starts the body of an @NAME."""
    if name[0] == '@':
        return lambda: start_body(name[1:])[0]
    return named(name)


def task_or_future(name):
    """The same, but of a body it makes a task."""
    if name[0] == '@':
        return lambda: start_task(name[1:])
    return named(name)


def of(find, method):
    """An operation that calls a method of something that may not be there."""
    def run(frame):
        found = find()
        return '?' if found is None else method(found)
    return run


def number(word):
    return None if word == '-' else int(word)


@operation(SYNC)
def print_(words):
    return lambda frame: None


@operation(SYNC)
def now(words):
    return lambda frame: world.loop.time()


@operation(SYNC)
def spawn(words):
    _, name, body = words

    def run(frame):
        task = start_task(body)
        if task is None:
            return '?'
        world.names[name] = task
        return world.tasks[-1][0]
    return run


@operation(SYNC)
def spawn_get(words):
    def create(queue):
        task = world.loop.create_task(queue.get())
        world.names[words[1]] = task
        world.others.append(task)
    return of(named(words[2]), create)


@operation(SYNC)
def set_(words):
    return of(named(words[1]), lambda future: future.set_result(words[2]))


@operation(SYNC)
def fail(words):
    return of(named(words[1]),
              lambda future: future.set_exception(ValueError(words[2])))


@operation(SYNC)
def cancel(words):
    message = words[2] if len(words) > 2 else None
    return of(named(words[1]), lambda future: future.cancel(message))


@operation(SYNC)
def uncancel(words):
    return of(named(words[1]), lambda task: task.uncancel())


@operation(SYNC)
def cancelling(words):
    return of(named(words[1]), lambda task: task.cancelling())


@operation(SYNC)
def state_(words):
    return of(named(words[1]), state)


@operation(SYNC)
def result(words):
    def read(future):
        keep_message(future)
        return future.result()
    return of(named(words[1]), read)


@operation(SYNC)
def exception(words):
    def read(future):
        keep_message(future)
        return future.exception()
    return of(named(words[1]), read)


@operation(SYNC)
def all_tasks(words):
    return lambda frame: len(asyncio.all_tasks(world.loop))


@operation(SYNC)
def shield(words):
    find = awaitable(words[2])

    def run(frame):
        inner = find()
        if inner is None:
            return '?'
        world.names[words[1]] = asyncio.shield(inner)
        return None
    return run


def gathering(words, return_exceptions):
    finders = [awaitable(word) for word in words[2:]]

    def run(frame):
        children = [child for child in (find() for find in finders)
                    if child is not None]
        world.names[words[1]] = asyncio.gather(
            *children, return_exceptions=return_exceptions)
    return run


@operation(SYNC)
def gather(words):
    return gathering(words, False)


@operation(SYNC)
def gather_exceptions(words):
    return gathering(words, True)


@operation(SYNC)
def call_soon(words):
    _, name, callback = words

    def run(frame):
        if not world.may_call(callback):
            return '?'
        world.names[name] = world.loop.call_soon(world.callable_of(callback))
        return None
    return run


@operation(SYNC)
def call_later(words):
    _, name, delay, callback = words
    delay = int(delay)

    def run(frame):
        if not world.may_call(callback):
            return '?'
        world.names[name] = world.loop.call_later(
            delay, world.callable_of(callback))
        return None
    return run


@operation(SYNC)
def call_at(words):
    _, name, when, callback = words
    when = int(when)

    def run(frame):
        if not world.may_call(callback):
            return '?'
        world.names[name] = world.loop.call_at(
            when, world.callable_of(callback))
        return None
    return run


@operation(SYNC)
def cancel_handle(words):
    return of(named(words[1]), lambda handle: handle.cancel())


@operation(SYNC)
def add_callback(words):
    def add(future):
        if not world.may_call(words[2]):
            return '?'
        return future.add_done_callback(world.callable_of(words[2]))
    return of(named(words[1]), add)


@operation(SYNC)
def remove_callback(words):
    def remove(future):
        if words[2] not in world.callbacks:
            return '?'
        return future.remove_done_callback(world.callable_of(words[2]))
    return of(named(words[1]), remove)


@operation(SYNC)
def stop(words):
    return lambda frame: world.loop.stop()


@operation(SYNC)
def raise_(words):
    def run(frame):
        raise ValueError(words[1])
    return run


@operation(SYNC)
def raise_cancelled(words):
    def run(frame):
        raise CancelledError(*words[1:])
    return run


@operation(SYNC)
def reraise(words):
    def run(frame):
        if not frame.handling:
            return '?'
        raise frame.handling[-1]
    return run


# Timeouts and groups that a block has made.

@operation(SYNC)
def reschedule(words):
    delay = number(words[2])

    def move(timeout):
        timeout.reschedule(None if delay is None else world.loop.now + delay)
    return of(named(words[1]), move)


@operation(SYNC)
def when_(words):
    def when(timeout):
        moment = timeout.when()
        return '-' if moment is None else moment
    return of(named(words[1]), when)


@operation(SYNC)
def expired(words):
    return of(named(words[1]), lambda timeout: timeout.expired())


@operation(SYNC)
def group_spawn(words):
    _, group, name, body = words

    def create(found):
        task = start_task(body, found.create_task)
        if task is None:
            return '?'
        world.names[name] = task
        return world.tasks[-1][0]
    return of(named(group), create)


@operation(SYNC)
def group_cancel(words):
    return of(named(words[1]), lambda found: found.cancel())


# Locks and their kin.

def simple(word, method=None):
    """Registers an operation that only calls a method without arguments."""
    method = method or word
    OPERATIONS[word] = SYNC, lambda words: of(
        named(words[1]), lambda found: getattr(found, method)())


def waiting(word, method=None):
    """The same of a coroutine method."""
    method = method or word

    def make(words):
        find = named(words[1])

        def run(frame):
            found = find()
            return nothing() if found is None else getattr(found, method)()
        return run
    OPERATIONS[word] = ASYNC, make


def waiting_for_true(word, method=None):
    """The same where all that it gives is True: void in C++."""
    method = method or word

    def make(words):
        find = named(words[1])

        async def run(frame):
            found = find()
            if found is None:
                return '?'
            await getattr(found, method)()
            return None
        return run
    OPERATIONS[word] = ASYNC, make


waiting_for_true('acquire')
simple('release')
simple('locked')
waiting_for_true('wait_event', 'wait')
simple('set_event', 'set')
simple('clear')
simple('is_set')
waiting_for_true('wait_condition', 'wait')
simple('notify_all')
waiting('wait_barrier', 'wait')
waiting('reset')
waiting('abort')
waiting('get')
simple('get_nowait')
simple('task_done')
simple('qsize')
waiting('join')


@operation(SYNC)
def notify(words):
    count = int(words[2])
    return of(named(words[1]), lambda condition: condition.notify(count))


@operation(SYNC)
def barrier_state(words):
    def read(barrier):
        return f'{barrier.n_waiting} ' + ('broken' if barrier.broken else 'whole')
    return of(named(words[1]), read)


@operation(SYNC)
def put_nowait(words):
    return of(named(words[1]), lambda queue: queue.put_nowait(words[2]))


@operation(ASYNC)
def put(words):
    find = named(words[1])

    def run(frame):
        queue = find()
        return nothing() if queue is None else queue.put(words[2])
    return run


# What waits.

async def nothing():
    return '?'


@operation(ASYNC)
def sleep_(words):
    delay = int(words[1])
    return lambda frame: sleep(delay)


@operation(ASYNC)
def await_(words):
    find = awaitable(words[1])

    def run(frame):
        found = find()
        if found is None:
            return nothing()
        about_to_await(found)
        return found
    return run


@operation(ASYNC)
def wait_for(words):
    delay = number(words[1])
    find = awaitable(words[2])

    def run(frame):
        found = find()
        if found is None:
            return nothing()
        about_to_await(found)
        return asyncio.wait_for(found, delay)
    return run


@operation(ASYNC)
def within(words):
    delay, word = number(words[1]), words[2]
    if word not in LIBRARY_COROUTINES:
        raise BadProgram(f'not within: {word}')
    make = OPERATIONS[word][1](words[2:])
    find = named(words[3])

    def run(frame):
        if word != 'sleep' and find() is None:
            return nothing()
        return asyncio.wait_for(make(frame), delay)
    return run


LIBRARY_COROUTINES = {'sleep', 'acquire', 'wait_event', 'wait_condition',
                      'wait_barrier', 'put', 'get', 'join'}


def found_among(words):
    """Finds some futures: a function that returns [(word, future)]."""
    finders = [(word, task_or_future(word)) for word in words]

    def find_all():
        found = [(word, find()) for word, find in finders]
        return [item for item in found if item[1] is not None]
    return find_all


WAIT_MODES = {'first': asyncio.FIRST_COMPLETED,
              'exception': asyncio.FIRST_EXCEPTION,
              'all': asyncio.ALL_COMPLETED}


@operation(ASYNC)
def wait(words):
    mode, timeout = WAIT_MODES[words[1]], number(words[2])
    find_all = found_among(words[3:])

    async def run(frame):
        found = find_all()
        done, pending = await asyncio.wait(
            [future for _, future in found], timeout=timeout, return_when=mode)
        parts = ['done']
        parts += [word for word, future in found if future in done]
        parts.append('pending')
        parts += [word for word, future in found if future in pending]
        return ' '.join(parts)
    return run


@operation(ASYNC)
def as_completed(words):
    timeout = number(words[1])
    find_all = found_among(words[2:])

    async def run(frame):
        all_of_them = asyncio.as_completed(
            [future for _, future in find_all()], timeout=timeout)
        try:
            for one in all_of_them:
                try:
                    value = show(await one)
                except Exception as error:
                    value = show(error)
                world.trace(frame.label, 'as_completed: ' + value)
        finally:
            patches.leave_as_completed(all_of_them)
        return None
    return run


# Blocks.

@operation(BLOCK)
def repeat(words):
    count = int(words[1])

    async def run(frame, text, block):
        for _ in range(count):
            returned = await run_block(frame, block)
            if returned:
                return returned
        return None
    return run


@operation(BLOCK)
def with_(words):
    name = words[1]

    async def run(frame, text, block):
        if name not in world.names:
            world.trace(frame.label, text + ' = ?')
            return None
        try:
            async with world.names[name]:
                world.trace(frame.label, text)
                returned = await run_block(frame, block)
        except BaseException as error:
            world.trace(frame.label, f'{text} ends ! {show(error)}')
            raise
        world.trace(frame.label, text + ' ends')
        return returned
    return run


def timeout_block(name, make):
    async def run(frame, text, block):
        timeout = make()
        world.names[name] = timeout
        try:
            async with timeout:
                world.trace(frame.label, text)
                returned = await run_block(frame, block)
        except BaseException as error:
            world.trace(frame.label, f'{text} ends ! {show(error)}')
            raise
        world.trace(frame.label, text + ' ends')
        return returned
    return run


@operation(BLOCK)
def timeout(words):
    delay = number(words[2])
    return timeout_block(words[1], lambda: asyncio.timeout(delay))


@operation(BLOCK)
def timeout_at(words):
    when = number(words[2])
    return timeout_block(words[1], lambda: asyncio.timeout_at(when))


@operation(BLOCK)
def group(words):
    name = words[1]

    async def run(frame, text, block):
        made = asyncio.TaskGroup()
        world.names[name] = made
        returned = None  # a group that was cancelled swallows that
        try:
            async with made:
                world.trace(frame.label, text)
                returned = await run_block(frame, block)
        except BaseException as error:
            world.trace(frame.label, f'{text} ends ! {show(error)}')
            raise
        world.trace(frame.label, text + ' ends')
        return returned
    return run


CATCHES = {'cancelled': CancelledError, 'error': Exception, 'all': BaseException}


@operation(BLOCK)
def try_(words):
    async def run(frame, text, block):
        body, handlers, last = block
        try:
            try:
                return await run_block(frame, body)
            except GeneratorExit:
                raise
            except BaseException as error:
                for kind, ops in handlers:
                    if isinstance(error, kind):
                        break
                else:
                    raise
                world.trace(frame.label, 'except ' + show(error))
                frame.handling.append(error)
                try:
                    return await run_block(frame, ops)
                finally:
                    frame.handling.pop()
        finally:
            if last is not None:
                world.trace(frame.label, 'finally')
                returned = await run_block(frame, last)
                if returned:
                    return returned  # as Python does: swallows the exception
    return run


@operation(RETURN)
def return_(words):
    return words[1] if len(words) > 1 else None


# ---- Reading ---------------------------------------------------------------

class BadProgram(Exception):
    pass


known_lines = {}


def parse_line(line):
    """Depth, kind, text and function of an operation's line."""
    text = line.lstrip(' ')
    words = text.split()
    if line == text:
        parsed = 0, None, text, None  # the next declaration
    elif words[0] in ('except', 'finally'):
        parsed = len(line) - len(text), words[0], text, CATCHES.get(words[-1])
    elif words[0] not in OPERATIONS:
        raise BadProgram(f'no such operation: {text}')
    else:
        kind, make = OPERATIONS[words[0]]
        parsed = len(line) - len(text), kind, text, make(words)
    known_lines[line] = parsed
    return parsed


def parse_block(lines, i, depth):
    """The operations from line i on that are at least `depth` blanks deep."""
    ops = []
    count = len(lines)
    while i < count:
        line = lines[i]
        blanks, kind, text, run = known_lines.get(line) or parse_line(line)
        if blanks < depth or kind == 'except' or kind == 'finally':
            break
        i += 1
        if kind != BLOCK:
            ops.append((kind, text, run, None))
            continue
        block, i = parse_block(lines, i, depth + 2)
        if text == 'try':
            handlers, last = [], None
            while i < count:
                at, clause_kind, _, catch = (known_lines.get(lines[i])
                                             or parse_line(lines[i]))
                if at != depth or clause_kind not in ('except', 'finally'):
                    break
                clause, i = parse_block(lines, i + 1, depth + 2)
                if clause_kind == 'finally':
                    last = clause
                else:
                    handlers.append((catch, clause))
            block = block, handlers, last
        ops.append((kind, text, run, block))
    return ops, i


OBJECTS = {
    'future': lambda *args: world.loop.create_future(),
    'lock': asyncio.Lock,
    'semaphore': lambda n: asyncio.Semaphore(int(n)),
    'bounded': lambda n: asyncio.BoundedSemaphore(int(n)),
    'event': asyncio.Event,
    'condition': asyncio.Condition,
    'barrier': lambda n: asyncio.Barrier(int(n)),
    'queue': lambda n: asyncio.Queue(int(n)),
    'lifo': lambda n: asyncio.LifoQueue(int(n)),
    'priority': lambda n: asyncio.PriorityQueue(int(n)),
}

END_STATES = {
    'future': state,
    'lock': lambda o: 'locked' if o.locked() else 'unlocked',
    'semaphore': lambda o: 'locked' if o.locked() else 'unlocked',
    'bounded': lambda o: 'locked' if o.locked() else 'unlocked',
    'event': lambda o: 'set' if o.is_set() else 'unset',
    'condition': lambda o: 'locked' if o.locked() else 'unlocked',
    'barrier': lambda o: f'{o.n_waiting} ' + ('broken' if o.broken else 'whole'),
    'queue': lambda o: str(o.qsize()),
    'lifo': lambda o: str(o.qsize()),
    'priority': lambda o: str(o.qsize()),
}


def parse(lines):
    """(declarations, bodies, callbacks) of a program."""
    declarations, bodies, callbacks = [], {}, {}
    i = 0
    while i < len(lines):
        words = lines[i].split()
        i += 1
        if words[0] in OBJECTS:
            declarations.append(words)
            continue
        if words[0] not in ('body', 'callback', 'main'):
            raise BadProgram(f'no such declaration: {" ".join(words)}')
        ops, i = parse_block(lines, i, 2)
        if words[0] == 'main':
            bodies['main'] = ops
        elif words[0] == 'body':
            bodies[words[1]] = ops
        else:
            callbacks[words[1]] = [op for op in ops if op[0] == SYNC]
    return declarations, bodies, callbacks


# ---- Running ---------------------------------------------------------------

def run_loop(until=None):
    """Runs until nothing is left to happen, or until a future is done."""
    loop = world.loop
    stop = lambda _: loop.stop()  # as run_until_complete does
    why = None
    for _ in range(RUNS_MAX):
        if until is not None:
            until.add_done_callback(stop)
        why = loop.run()
        if until is not None:
            until.remove_done_callback(stop)
            if until.done():
                world.trace('loop', 'main is done')
                return
        world.trace('loop', why)
        if why != 'stopped':
            return


def run_program(lines):
    """Runs a program; returns the lines of its trace."""
    global world
    declarations, bodies, callbacks = parse(lines)
    world = World(bodies, callbacks)
    loop = world.loop
    events._set_running_loop(loop)
    try:
        for kind, name, *args in declarations:
            world.names[name] = OBJECTS[kind](*args)
        declared = [(kind, name, world.names[name])
                    for kind, name, *_ in declarations]
        main = start_task('main')
        if main is not None:
            run_loop(main)
            run_loop()
            left = [task for _, task in world.tasks if not task.done()]
            if left:
                world.trace('loop', f'cancels {len(left)}')
                for task in left:
                    task.cancel('end')
                run_loop()
        if world.ring:
            return ['ring']
        trace = world.lines
        for kind, name, found in declared:
            trace.append(f'end {kind} {name}: {END_STATES[kind](found)}')
        for label, task in world.tasks:
            trace.append(f'end {label}: {state(task)}'
                         f' cancelling {task.cancelling()}')
        return trace
    except (Recursion, RecursionError):
        return ['ring']
    finally:
        clear_away()
        events._set_running_loop(None)


def clear_away():
    """Ends what a program has left, without a trace of it."""
    world.lines = []
    world.loop._ready.clear()
    world.loop._scheduled.clear()
    if not any(not task.done() for _, task in world.tasks):
        return
    for _, task in world.tasks:
        for _ in range(5):
            try:
                task.get_coro().close()
                break
            except BaseException:  # it waits again: ask again
                pass


def main(arguments):
    global keeps_messages
    stock = set()
    while arguments:
        option = arguments.pop(0)
        if option == '--stock' and arguments:
            stock.add(arguments.pop(0))
        else:
            sys.exit(__doc__)
    patches.apply(stock)
    if 'ours_cancel_message' in stock or 'all' in stock:
        keeps_messages = False
    warnings.simplefilter('ignore')
    sys.unraisablehook = lambda _: None
    gc.collect()
    gc.freeze()
    gc.disable()
    source = sys.stdin
    write = sys.stdout.write
    head, lines, count = None, [], 0

    def finish():
        nonlocal count
        if head is None:
            return
        try:
            trace = run_program(lines)
        except BadProgram as bad:
            trace = [f'bad program: {bad}']
        trace.append('')
        write(head + '\n'.join(trace))
        count += 1
        if count % 200 == 0:
            gc.collect()

    for line in source:
        if line.startswith('==='):
            finish()
            head, lines = line, []
            if line == '===\n':  # the end of a batch
                head = None
                write(line)
                sys.stdout.flush()
        elif line != '\n' and not line.lstrip().startswith('#'):
            lines.append(line[:-1])
    finish()


if __name__ == '__main__':
    main(sys.argv[1:])
