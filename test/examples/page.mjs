// What the tests of the example pages share: the page served as its README says, and a Chromium that takes this server for
// the one on 127.0.0.1:8080 that the example names.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { chromium } from 'playwright-core';
import * as h from '../browser/harness.mjs';

const examples = path.resolve(import.meta.dirname, '../../examples');

// serve runs `npm start` of an example on a free port and returns its address and how to end it.
export async function serve(name) {
  // It runs for as long as its standard input is open: nothing is left behind by a test that breaks off.
  const child = spawn('npm', ['start', '--', '--serve=127.0.0.1:0'], { cwd: path.join(examples, name), stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  const origin = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no address from npm start:\n${said}`)), h.patience);
    const listen = (data) => {
      said += data;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (!found) return;
      clearTimeout(late);
      resolve(found[0]);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`npm start ended with ${code}; run scripts/setup first?\n${said}`));
    });
  });
  const stop = () => new Promise((resolve) => { child.once('exit', resolve).stdin.end(); });
  return { origin, stop };
}

// gate stands between a browser and the server. It breaks a connection instead of passing a refusal on, as often as `loses`
// says: Chromium by itself sends once more what a connection lost that had been used before.
export async function gate(server) {
  const state = { loses: 0 };
  const listener = createServer((client) => {
    const upstream = connect(new URL(server.origin).port, '127.0.0.1');
    const end = () => { client.destroy(); upstream.destroy(); };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    upstream.on('data', (piece) => {
      if (state.loses === 0 || !/^HTTP\/1\.1 41[05]/.test(piece.toString('latin1'))) return client.write(piece);
      state.loses--;
      end();
    });
    client.pipe(upstream);
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  state.origin = `http://127.0.0.1:${listener.address().port}`;
  state.close = () => listener.close();
  return state;
}

// launch has the browser connect to this server, or gate, where a page names the address of the example.
export function launch(server) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', `--host-resolver-rules=MAP 127.0.0.1:8080 ${new URL(server.origin).host}`],
  });
}

// open shows the page and watches what it asks of the server and what its console says.
export async function open(browser, origin, { allow = null, ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(h.patience);
  const seen = { console: [], posts: [], offsets: [] };
  page.on('console', (m) => { if (!allow?.test(m.text())) seen.console.push(`${m.type()}: ${m.text()}`); });
  page.on('pageerror', (e) => seen.console.push(`uncaught: ${e.stack || e}`));
  page.on('request', (r) => {
    if (r.method() === 'POST') seen.posts.push(r.url());
    if (r.method() === 'PATCH') seen.offsets.push(Number(r.headers()['upload-offset']));
  });
  await page.goto(origin);
  return { page, context, seen };
}

// uploadUrl is where the server itself has the newest upload that the page remembers.
export function uploadUrl(page, server) {
  return h.until('an address', async () => {
    const stored = await page.evaluate(() => Object.entries(localStorage).filter(([key]) => key.startsWith('tus::'))
      .map(([, value]) => JSON.parse(value).uploadUrl).find(Boolean));
    return stored && server.origin + new URL(stored).pathname;
  });
}
