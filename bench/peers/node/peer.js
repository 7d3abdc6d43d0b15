// SPDX-License-Identifier: MIT
//
// Node. Its documentation knows two ways to run something soon: setImmediate
// (contestant "node"), which lets the loop poll between two turns, and
// queueMicrotask and promises ("node_microtask" where the first is "node"),
// which do not.

'use strict';

const remote = require('./remote.js');
const sockets = require('./sockets.js');
const soon = require('./soon.js');
const tasks = require('./tasks.js');
const timers = require('./timers.js');
const { run } = require('./worker.js');

const one = (name, operations, start, contestant = 'node') => ({
  name,
  contestant,
  operations,
  start,
});

const cases = [
  one('soon/batch_1000', 500_000, () => soon.batch(setImmediate)),
  one('soon/chain_1', 50_000, () => soon.chain(setImmediate)),
  one(
    'soon/batch_1000',
    500_000,
    () => soon.batch(queueMicrotask),
    'node_microtask',
  ),
  one(
    'soon/chain_1',
    500_000,
    () => soon.chain(queueMicrotask),
    'node_microtask',
  ),
  one('timers/insert_cancel_10000', 50_000, () => timers.insertCancel(10_000)),
  one('timers/insert_cancel_100000', 100_000, () =>
    timers.insertCancel(100_000),
  ),
  one('timers/insert_expire_10000', 100_000, () => timers.insertExpire(10_000)),
  one('timers/insert_expire_100000', 100_000, () =>
    timers.insertExpire(100_000),
  ),
  one('timers/reschedule_10000', 500_000, () => timers.reschedule(10_000)),
  one('timers/reschedule_100000', 500_000, () => timers.reschedule(100_000)),
  one('remote/post_1', 50_000, remote.post),
  one('remote/ping_pong', 2_000, remote.pingPong),
  one('tasks/yield_100', 500_000, () => tasks.yield100(null)),
  one(
    'tasks/yield_100',
    100_000,
    () => tasks.yield100(tasks.immediate),
    'node_immediate',
  ),
  one('tasks/ping_pong', 200_000, tasks.pingPong),
  one('tasks/spawn_join_100', 200_000, tasks.spawnJoin),
  one('pipe_chain/1000_1', 5_000, () => sockets.pipeChain(1_000, 1)),
  one('pipe_chain/1000_100', 5_000, () => sockets.pipeChain(1_000, 100)),
  one('pipe_chain/9900_1', 5_000, () => sockets.pipeChain(9_900, 1)),
  one('pipe_chain/9900_100', 5_000, () => sockets.pipeChain(9_900, 100)),
  one('pipe_chain/1000_1_idle', 5_000, () =>
    sockets.pipeChain(1_000, 1, 10_000),
  ),
  one('pipe_chain/1000_100_idle', 5_000, () =>
    sockets.pipeChain(1_000, 100, 10_000),
  ),
  one('pipe_chain/9900_1_idle', 5_000, () =>
    sockets.pipeChain(9_900, 1, 10_000),
  ),
  one('pipe_chain/9900_100_idle', 5_000, () =>
    sockets.pipeChain(9_900, 100, 10_000),
  ),
];

const servers = [
  { kind: 'echo', contestant: 'node', start: () => sockets.listen(sockets.echo) },
  {
    kind: 'echo',
    contestant: 'node_pipe',
    start: () => sockets.listen(sockets.echoByPipe),
  },
  {
    kind: 'accept',
    contestant: 'node',
    start: () => sockets.listen(sockets.greet),
  },
];

const memory = [
  { name: 'tasks/sleeping', contestant: 'node', make: tasks.sleeping },
];

run(
  { version: `node ${process.versions.node}`, cases, servers, memory },
  process.argv.slice(2),
);
