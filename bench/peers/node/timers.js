// SPDX-License-Identifier: MIT
//
// Timers, in whole milliseconds and from one on: node has no others.

'use strict';

const { check, timed } = require('./worker.js');

// `count` whole numbers from `low` to `high`, the same each time.
function randomNumbers(count, low, high) {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + Math.floor((state / 2 ** 32) * (high - low + 1));
  });
}

// Calls `one(size)` with so many of `count` at a time.
async function batches(count, most, one) {
  for (let left = count; left > 0; left -= most) {
    await one(Math.min(left, most));
  }
}

const live = () =>
  process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

function insertCancel(size) {
  const delays = randomNumbers(size, 1_000, 60_000);
  const timers = new Array(size);
  let fired = 0;
  const fire = () => {
    fired++;
  };
  return async (operations) => {
    let took = 0;
    let done = 0;
    await batches(operations, size, async (count) => {
      took += await timed(() => {
        for (let n = 0; n < count; n++) timers[n] = setTimeout(fire, delays[n]);
      });
      const before = live();
      took += await timed(() => {
        for (let n = 0; n < count; n++) clearTimeout(timers[n]);
      });
      done += before - live();
    });
    check(fired, 0, 'timers that fired though cancelled');
    return { took, done };
  };
}

function insertExpire(size) {
  const delays = randomNumbers(size, 0, 9); // node makes 1 of 0
  return async (operations) => {
    let fired = 0;
    const took = await timed(() =>
      batches(
        operations,
        size,
        (count) =>
          new Promise((resolve) => {
            const until = fired + count;
            const fire = () => {
              if (++fired === until) resolve();
            };
            for (let n = 0; n < count; n++) setTimeout(fire, delays[n]);
          }),
      ),
    );
    return { took, done: fired };
  };
}

// Node keeps a list for each duration, for idle timeouts: an hour for all.
function reschedule(size) {
  const hour = 3_600_000;
  let fired = 0;
  const fire = () => {
    fired++;
  };
  const timers = Array.from({ length: size }, () => setTimeout(fire, hour));
  let next = 0;
  return async (operations) => {
    let moved = 0;
    const took = await timed(() => {
      for (let left = operations; left > 0; left--) {
        if (timers[next].refresh() === timers[next]) moved++;
        if (++next === size) next = 0;
      }
    });
    check(fired, 0, 'timers that fired too early');
    check(live(), size, 'live timers');
    return { took, done: moved };
  };
}

module.exports = { insertCancel, insertExpire, reschedule };
