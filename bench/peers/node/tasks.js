// SPDX-License-Identifier: MIT
//
// Async functions.

'use strict';

const { setImmediate: immediate } = require('node:timers/promises');
const { timed } = require('./worker.js');

const TASKS = 100;

// 100 async functions that yield: to each other by `await null`, or, with
// `pause`, to the loop too.
function yield100(pause) {
  return async (operations) => {
    let done = 0;
    const awaitTimes = async (times) => {
      for (; times > 0; times--) {
        await null;
        done++;
      }
    };
    const pauseTimes = async (times) => {
      for (; times > 0; times--) {
        await pause();
        done++;
      }
    };
    const task = pause ? pauseTimes : awaitTimes;
    const took = await timed(() =>
      Promise.all(
        Array.from({ length: TASKS }, (_, n) =>
          task(Math.floor((operations + n) / TASKS)),
        ),
      ),
    );
    return { took, done };
  };
}

// A promise, and the function that settles it.
function signal() {
  let settle;
  const promise = new Promise((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

// Two async functions that wake each other.
function pingPong() {
  return async (operations) => {
    let hits = 0;
    const sides = [signal(), signal()];
    const play = async (side, times) => {
      for (; times > 0; times--) {
        await sides[side].promise;
        sides[side] = signal();
        hits++;
        sides[1 - side].settle();
      }
    };
    const took = await timed(() => {
      const both = Promise.all([
        play(0, Math.ceil(operations / 2)),
        play(1, Math.floor(operations / 2)),
      ]);
      sides[0].settle();
      return both;
    });
    return { took, done: hits };
  };
}

// An async function runs up to its first await inside the call. This one
// awaits first, so that it is run by the loop, as everyone's task is.
function spawnJoin() {
  return async (operations) => {
    let ran = 0;
    const task = async () => {
      await null;
      ran++;
    };
    const took = await timed(async () => {
      for (let left = operations; left > 0; left -= TASKS) {
        const tasks = [];
        for (let n = Math.min(left, TASKS); n > 0; n--) tasks.push(task());
        await Promise.all(tasks);
      }
    });
    return { took, done: ran };
  };
}

function sleeping(count) {
  // A quarter less memory than node:timers/promises, which can be cancelled.
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const task = async () => {
    await sleep(3_600_000);
  };
  return Array.from({ length: count }, task);
}

module.exports = { immediate, pingPong, sleeping, spawnJoin, yield100 };
