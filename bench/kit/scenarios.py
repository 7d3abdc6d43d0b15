# SPDX-License-Identifier: MIT
"""What each scenario means for a user, for the page and the picture."""

# (beginning of the case's name, heading, what a user does)
GROUPS = [
    ('soon/', 'Callbacks', 'call_soon: hand the loop a function to run.'),
    ('timers/', 'Timers', 'Timeouts that are set, cancelled, moved along, and that fire.'),
    ('remote/', 'Other threads', 'Work handed to the loop from another thread.'),
    ('pipe_chain/', 'Readiness', 'A byte passed along a chain of sockets: many watched, few active.'),
    ('tasks/', 'Coroutines', 'Switching between tasks, making and awaiting them, letting them sleep.'),
    ('echo/', 'Echo server', 'What a message costs the server, by size and number of connections.'),
    ('accept/', 'Accepting', 'A connection that comes, gets one byte and goes.'),
    ('compile/', 'Compiling', 'What its headers cost each file that includes them.'),
    ('idle/', 'Idle connections', 'Memory of a connection that says nothing.'),
]

CASES = {
    'soon/batch_1000': 'a thousand callbacks a pass of the loop',
    'soon/chain_1': 'a callback that schedules itself',
    'soon/batch_1000_40b': 'a thousand callbacks with 40 bytes of captures',
    'soon/batch_1000_kept': 'a thousand callbacks whose handles are kept',
    'soon/cancel_1000': 'scheduled and cancelled before they run',
    'soon/chain_1_budget_64': 'a chain that polls every 64th pass',
    'timers/insert_cancel': 'timeouts that never come',
    'timers/insert_expire': 'timeouts that do',
    'timers/reschedule': 'an idle timeout pushed along',
    'timers/cancel_call_later': 'an idle timeout pushed along by cancel and call_later',
    'timers/cancel_call_at': 'an idle timeout pushed along by cancel and call_at',
    'remote/post': 'calls handed over by another thread',
    'remote/ping_pong': 'two loops that answer each other',
    'remote/batch_1000': 'handing over and running, without waking',
    'pipe_chain/': 'socket pairs, and how many are active',
    'tasks/yield_100': 'one switch between a hundred tasks',
    'tasks/ping_pong': 'two tasks that wake each other',
    'tasks/spawn_join_100': 'a task made and awaited',
    'tasks/sleeping': 'memory of a task that sleeps',
    'tasks/await_coro': 'co_await of a trivial coroutine',
    'tasks/future_callback_1000': 'a future made, called back and settled',
    'echo/64_c': 'messages of 64 bytes',
    'echo/16384_c': 'messages of 16 KiB',
    'echo/102400_c': 'messages of 100 KiB',
    'accept/': 'connections one after the other',
    'compile/include': 'a file that includes it and nothing else',
    'idle/': 'ten thousand connections that are silent',
}

# What the picture in the README shows.
PICTURE = ['soon/chain_1', 'timers/reschedule_10000', 'tasks/spawn_join_100',
           'pipe_chain/1000_1', 'echo/64_c64', 'accept/c1']

# Whom the picture shows, if they are there.
PICTURED = ['libuv', 'libevent', 'libev', 'asio', 'tokio', 'go', 'node', 'asyncio']

# Whom the table of the page of bench/ shows.
TABLED = ['libuv', 'libevent', 'libev', 'asio', 'asio_coroutines', 'tokio', 'go', 'node',
          'asyncio', 'uvloop']


def meaning(case):
    """One line for a case: the longest beginning that is known."""
    known = [name for name in CASES if case.startswith(name)]
    return CASES[max(known, key=len)] if known else ''
