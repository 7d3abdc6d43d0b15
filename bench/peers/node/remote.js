// SPDX-License-Identifier: MIT
//
// Another thread: a Worker, and a MessageChannel to it. A function can't be
// sent, so a message stands for the call. The Worker runs this same file.

'use strict';

const { once } = require('node:events');
const {
  MessageChannel,
  Worker,
  isMainThread,
  workerData,
} = require('node:worker_threads');
const { check, timed } = require('./worker.js');

const AHEAD = 16_384; // how far the poster may run ahead

// -- this thread -------------------------------------------------------------

// The other thread, when it runs: {port: the channel to it, ran: a number that
// both see}.
async function start(role) {
  const { port1: port, port2: other } = new MessageChannel();
  const ran = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(__filename, {
    workerData: { role, port: other, ran },
    transferList: [other],
  });
  await once(worker, 'online');
  return { port, ran };
}

async function post() {
  const { port, ran } = await start('poster');
  let done;
  let until;
  port.on('message', () => {
    const count = ++ran[0];
    if (count % (AHEAD / 2) === 0) Atomics.notify(ran, 0);
    if (count === until) done();
  });
  return async (operations) => {
    ran[0] = 0;
    until = operations;
    const took = await timed(() => {
      port.postMessage(operations);
      return new Promise((resolve) => {
        done = resolve;
      });
    });
    return { took, done: ran[0] };
  };
}

async function pingPong() {
  const { port, ran } = await start('player');
  let done;
  let hits;
  let until;
  port.on('message', () => {
    if (++hits === until) done();
    else port.postMessage(0);
  });
  return async (operations) => {
    hits = ran[0] = 0;
    until = operations;
    const took = await timed(() => {
      port.postMessage(0);
      return new Promise((resolve) => {
        done = resolve;
      });
    });
    check(ran[0], operations, 'messages on the far side');
    return { took, done: hits };
  };
}

// -- the other thread --------------------------------------------------------

const roles = {
  // Posts as many as it is told.
  poster({ port, ran }) {
    port.on('message', (operations) => {
      for (let n = 0; n < operations; n++) {
        if (n % 256 === 0) {
          for (let seen; n > (seen = Atomics.load(ran, 0)) + AHEAD; ) {
            Atomics.wait(ran, 0, seen, 1);
          }
        }
        port.postMessage(0);
      }
    });
  },
  // Sends back what it gets.
  player({ port, ran }) {
    port.on('message', () => {
      ran[0]++;
      port.postMessage(0);
    });
  },
};

if (isMainThread) {
  module.exports = { pingPong, post };
} else {
  roles[workerData.role](workerData);
}
