// SPDX-License-Identifier: MIT
//
// Callbacks that run soon. `schedule` is setImmediate or queueMicrotask.

'use strict';

const { timed } = require('./worker.js');

// A callback that schedules 1,000 and itself.
function batch(schedule) {
  let ran = 0;
  const count = () => {
    ran++;
  };
  return async (operations) => {
    ran = 0;
    const took = await timed(
      () =>
        new Promise((resolve) => {
          let left = operations;
          const pump = () => {
            if (left === 0) return resolve();
            const size = Math.min(left, 1000);
            for (let n = 0; n < size; n++) schedule(count);
            left -= size;
            schedule(pump);
          };
          schedule(pump);
        }),
    );
    return { took, done: ran };
  };
}

// A callback that schedules itself.
function chain(schedule) {
  return async (operations) => {
    let ran = 0;
    const took = await timed(
      () =>
        new Promise((resolve) => {
          const link = () => {
            if (++ran === operations) resolve();
            else schedule(link);
          };
          schedule(link);
        }),
    );
    return { took, done: ran };
  };
}

module.exports = { batch, chain };
