// SPDX-License-Identifier: MIT
//
// The command line of a contestant, in JavaScript: what every peer's program
// understands, in one place. peer.js says what there is to run.

'use strict';

const fs = require('node:fs');
const readline = require('node:readline');

// The cases of a server, by its kind.
const LOADS = {
  echo: [
    'echo/64_c1',
    'echo/64_c64',
    'echo/64_c64_p16',
    'echo/64_c1000',
    'echo/16384_c64',
    'echo/16384_c1000',
    'echo/102400_c64',
    'idle/10000',
  ],
  accept: ['accept/c1'],
};

function fail(message) {
  process.stderr.write(`FAILED: ${message}\n`);
  process.exit(1);
}

// Ends the program if something was not done.
function check(done, expected, what) {
  if (done !== expected) fail(`${what}: ${done} instead of ${expected}`);
}

// The processor time of `work`, in nanoseconds, of all threads: node tells no
// thread's own, and the collector and the compiler have threads of theirs. It
// counts microseconds.
async function timed(work) {
  const began = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(began);
  return (user + system) * 1000;
}

// Of this process, garbage collected. smaps_rollup counts pages; the quicker
// files say what a sloppy counter says.
function residentBytes() {
  globalThis.gc();
  const text = fs.readFileSync('/proc/self/smaps_rollup', 'latin1');
  return Number(/^Rss: *(\d+)/m.exec(text)[1]) * 1024;
}

function number(text) {
  const n = Number(text);
  if (!Number.isInteger(n) || n <= 0) fail(`not a number: ${text}`);
  return n;
}

// Answers each number on standard input with a round of so many operations.
async function work(one) {
  const round = await one.start();
  // Part of the set-up: until the compiler has seen what is hot.
  const end = performance.now() + 600;
  while (performance.now() < end) await round(Math.ceil(one.operations / 10));
  process.stdout.write('ready\n');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { took, done } = await round(number(line));
    process.stdout.write(`${took} ${done}\n`);
  }
}

// So many operations, nothing said: for perf and strace.
async function once(one, operations) {
  const round = await one.start();
  const { done } = await round(operations);
  check(done, operations, 'done');
}

// Serves until standard input ends.
async function serve(start) {
  const server = await start();
  process.stdout.write(`listening ${server.address().port}\n`);
  for await (const ignored of process.stdin);
}

async function fill(make, count) {
  await make(1); // what only the first costs is not theirs
  const before = residentBytes();
  const kept = await make(count);
  const after = residentBytes();
  check(kept.length, count, 'kept');
  process.stdout.write(`${after - before}\n`);
}

function list({ cases, servers, memory }) {
  for (const { name, contestant, operations } of cases) {
    console.log(`${name} ${contestant} ${operations} process`);
  }
  for (const { name, contestant } of memory) {
    console.log(`${name} ${contestant} 0 memory`);
  }
  for (const { kind, contestant } of servers) {
    for (const name of LOADS[kind]) {
      console.log(`${name} ${contestant} 0 server`);
    }
  }
}

// Does what the command line asks for. `program` has
//   version: what --version says;
//   cases: {name, contestant, operations, start}: `await start()` makes what
//     all rounds share, and gives a function that does n operations: `await`
//     it for {took, done}, where done was counted by those who did it;
//   servers: {kind, contestant, start}: `await start()` is a net.Server;
//   memory: {name, contestant, make}: `await make(n)` is an array of n.
async function run(program, [asked, what, ...rest]) {
  const find = (all, key, contestant) =>
    all.find((one) => one[key] === what && one.contestant === contestant) ??
    fail(`no ${what} of ${contestant}`);
  switch (asked) {
    case '--version':
      console.log(program.version);
      break;
    case '--list':
      list(program);
      break;
    case '--worker':
      await work(find(program.cases, 'name', rest[0]));
      break;
    case '--once':
      await once(find(program.cases, 'name', rest[0]), number(rest[1]));
      break;
    case '--server': {
      const contestant = rest[0] ?? program.servers[0].contestant;
      await serve(find(program.servers, 'kind', contestant).start);
      break;
    }
    case '--memory':
      await fill(find(program.memory, 'name', rest[1]).make, number(rest[0]));
      break;
    default:
      fail(`nothing known as ${asked}`);
  }
  // Timers, servers and threads would keep it alive.
  process.exit(0);
}

module.exports = { check, fail, run, timed };
