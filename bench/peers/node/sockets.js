// SPDX-License-Identifier: MIT
//
// Servers, and the pipe chain.

'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { check, fail, timed } = require('./worker.js');

// -- servers -----------------------------------------------------------------

async function listen(serve) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy()); // a client may be rude
    serve(socket);
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 });
  await once(server, 'listening');
  return server;
}

// Writes what it reads, and reads no more while that is too much.
function echo(socket) {
  socket.on('data', (data) => {
    if (!socket.write(data)) socket.pause();
  });
  socket.on('drain', () => socket.resume());
}

// The echo server of node's documentation.
function echoByPipe(socket) {
  socket.pipe(socket);
}

function greet(socket) {
  socket.end('x');
}

// -- pipe chain --------------------------------------------------------------

// So many pairs of sockets. There is no socketpair(2) here: the ends of each
// are connected by a name, and are the same for the kernel from then on.
async function socketPairs(count) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pairs-'));
  const name = path.join(folder, 'socket');
  const server = net.createServer().listen(name);
  await once(server, 'listening');
  const pairs = [];
  while (pairs.length < count) {
    const writer = net.connect(name);
    writer.on('error', (error) => fail(`${error} (ulimit -n?)`));
    const [reader] = await once(server, 'connection');
    pairs.push({ reader, writer });
  }
  server.close();
  fs.rmSync(folder, { recursive: true });
  return pairs;
}

// What is read from a pair is written into the next. With `idle`, each reader
// has a timeout of so many milliseconds, which starts anew with every event.
async function pipeChain(count, active, idle = 0) {
  const pairs = await socketPairs(count);
  const byte = Buffer.from('x');
  let toWrite = 0;
  let events = 0;
  let until = 0;
  let timeouts = 0;
  let done;
  const send = (to, bytes) => {
    for (; bytes > 0 && toWrite > 0; bytes--, toWrite--) to.write(byte);
  };
  pairs.forEach(({ reader }, n) => {
    const { writer } = pairs[(n + 1) % count];
    reader.on('data', (data) => {
      events += data.length;
      send(writer, data.length);
      if (events === until) done();
    });
    reader.on('timeout', () => timeouts++);
  });
  return async (operations) => {
    toWrite = until = operations;
    events = timeouts = 0;
    for (const { reader } of pairs) reader.setTimeout(idle); // 0 is none
    for (let n = 0; n < active; n++) {
      send(pairs[n * Math.floor(count / active)].writer, 1);
    }
    const took = await timed(
      () =>
        new Promise((resolve) => {
          done = resolve;
        }),
    );
    check(timeouts, 0, 'idle timeouts');
    return { took, done: events };
  };
}

module.exports = { echo, echoByPipe, greet, listen, pipeChain };
