// What the browser tests share: the real server as a process that can be killed, a real Chromium, and files to send.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const root = path.resolve(import.meta.dirname, '../..');

export const MiB = 1 << 20;

// patience bounds every wait for a condition. It is never waited out when all is well, and long enough for a busy machine.
export const patience = 30_000;

// large is the size of a file that takes longer than patience at the rate of throttle: what a test does to it on its way happens
// on its way, however busy the machine.
export const large = 48 * MiB;

let scratch;

// scratchDir is one directory for all files of a test file, gone when the process ends.
export async function scratchDir() {
  scratch ??= mkdtemp(path.join(tmpdir(), 'sluice-browser-'));
  return scratch;
}

export async function cleanUp() {
  if (scratch) await rm(await scratch, { recursive: true, force: true });
}

let binary;

// serverBinary is SLUICE_BIN, or else built once from this tree.
async function serverBinary() {
  binary ??= process.env.SLUICE_BIN ? Promise.resolve(path.resolve(process.env.SLUICE_BIN)) : (async () => {
    const out = path.join(await scratchDir(), 'sluice');
    await run('go', ['build', '-o', out, './cmd/server'], { cwd: root });
    return out;
  })();
  return binary;
}

// Server is the program itself on a data directory of its own. After kill() it can be started again on the same port and
// data, as after a crash.
export class Server {
  #process = null;
  #killed = false; // by us: any other end is told, with what the server had to say
  #port = 0;
  #log = '';

  static #running = new Set();

  static {
    // A test that breaks off leaves no server behind.
    process.on('exit', () => { for (const server of Server.#running) server.#process?.kill('SIGKILL'); });
  }

  // start takes flags beside those of every test, and profiles as rows of a config file.
  static async start({ flags = [], profiles = '' } = {}) {
    const server = new Server();
    server.data = await mkdtemp(path.join(await scratchDir(), 'data-'));
    server.flags = flags;
    if (profiles) server.flags = [...flags, '--config', await textFile('sluice.yaml', `profiles:\n${profiles}`)];
    await server.start();
    return server;
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start() {
    const args = ['--listen', `127.0.0.1:${this.#port}`, '--private-listen', '127.0.0.1:0', '--data', this.data, ...this.flags];
    this.#killed = false;
    Server.#running.add(this);
    const child = this.#process = spawn(await serverBinary(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#port = await new Promise((resolve, reject) => {
      let out = '';
      const late = setTimeout(() => reject(new Error(`the server named no address:\n${this.#log}`)), patience);
      const settle = (act, value) => { clearTimeout(late); act(value); };
      child.stdout.on('data', (chunk) => {
        out += chunk;
        this.#log += chunk;
        const found = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(out);
        if (found) settle(resolve, Number(found[1]));
      });
      child.stderr.on('data', (chunk) => { this.#log += chunk; });
      child.on('error', (err) => settle(reject, err));
      child.on('exit', (code, signal) => {
        settle(reject, new Error(`the server ended with ${code ?? signal}:\n${this.#log}`));
        if (!this.#killed) console.error(`the server ended by itself with ${code ?? signal}:\n${this.#log}`);
      });
    });
  }

  // kill is SIGKILL: no handler runs, nothing is flushed.
  async kill() {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    this.#killed = true;
    const gone = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill('SIGKILL');
    await gone;
  }

  // term asks the server to stop, as a restart does.
  term() {
    this.#killed = true;
    this.#process.kill('SIGTERM');
  }

  // freeze stops the process where it is, as a network does that loses everything: connections stay and nothing moves.
  freeze() {
    this.#process.kill('SIGSTOP');
  }

  thaw() {
    this.#process.kill('SIGCONT');
  }

  // status is what the server says of an upload, or the number of the answer when it is not 200.
  async status(url) {
    const res = await fetch(`${url}/status`);
    return res.ok ? res.json() : res.status;
  }

  get log() {
    return this.#log;
  }
}

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

// open gives a page with a storage of its own, and watches it: what it asked for, what its console said. A test that
// expects refusals or a dead server says so by allow, a pattern of console messages that belong to that.
export async function open(browser, server, { allow = null, context = null, ...options } = {}) {
  context ??= await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const seen = { requests: [], responses: [], console: [] };
  page.on('request', (r) => seen.requests.push({ method: r.method(), url: r.url() }));
  page.on('response', (r) => seen.responses.push({ status: r.status(), url: r.url(), method: r.request().method() }));
  page.on('console', (m) => { if (!allow?.test(m.text())) seen.console.push(`${m.type()}: ${m.text()}`); });
  page.on('pageerror', (e) => seen.console.push(`uncaught: ${e.stack || e}`));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
  });
  await page.goto(`${server.origin}/`);
  return { page, context, seen };
}

// settled is for the end of each test: nothing on the console that the test did not expect, and no other origin asked.
export function assertQuiet(seen, server) {
  assert.deepEqual(seen.console, [], 'the console is not empty');
  const foreign = seen.requests.filter(({ url }) => !url.startsWith(`${server.origin}/`) && !url.startsWith('blob:'));
  assert.deepEqual(foreign, [], 'another origin was asked');
}

// These are written by the browser itself, whatever a page does, when an answer is an error or does not come.
export const refusal = /^Failed to load resource: the server responded with a status of (4\d\d|503)/;
export const deadServer = /^Failed to load resource: (net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_CLOSED|CONNECTION_ABORTED)|the server responded with a status of (423|503))/;

// hide does what a browser does with a tab that another one covers; show brings it back. (A page under test is always in front.)
export async function hide(page, hidden = true) {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

// send puts so many bytes into the server without the page: as fast as it goes.
export async function send(server, size) {
  const tus = { 'Tus-Resumable': '1.0.0' };
  const created = await fetch(`${server.origin}/files/`, { method: 'POST', headers: { ...tus, 'Upload-Length': String(size) } });
  const url = new URL(created.headers.get('location'), server.origin).href;
  const res = await fetch(url, { method: 'PATCH', body: Buffer.alloc(size),
    headers: { ...tus, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream' } });
  assert.equal(res.status, 204);
  return url;
}

// throttle slows uploads down to so many bytes a second, so that "on its way" is a moment that can be met. It returns how to
// change that; -1 is as fast as it goes. (A request that runs is let go by a change, it cannot be slowed down.)
export async function throttle(page, bytesPerSecond = MiB) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  const set = (rate, offline = false) => cdp.send('Network.emulateNetworkConditions',
    { offline, latency: 0, downloadThroughput: -1, uploadThroughput: rate });
  await set(bytesPerSecond);
  return set;
}

// until polls a condition and returns its first truthy value. It fails with what it waited for and what it saw last.
export async function until(what, condition, timeout = patience) {
  const end = Date.now() + timeout;
  for (let last; ;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (err) {
      last = err;
    }
    if (Date.now() > end) throw new Error(`waited in vain for ${what}; last: ${last?.stack ?? JSON.stringify(last)}`);
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
}

// Files. Random bytes cannot be mistaken for others: a piece stored twice or at the wrong place changes the digest.

// newFile is the path for a file of this name, in a directory of its own: tests run side by side, and a browser refuses a file
// that was written again after it was chosen.
async function newFile(name) {
  return path.join(await mkdtemp(path.join(await scratchDir(), 'file-')), name);
}

export async function randomFile(name, size) {
  const file = await newFile(name);
  await writeFile(file, randomBytes(size));
  return file;
}

// emptyFile is nothing but zeros, and takes no room on the disk: for what is never sent whole.
export async function emptyFile(name, size) {
  const file = await newFile(name);
  await writeFile(file, '');
  await truncate(file, size);
  return file;
}

export async function textFile(name, text) {
  const file = await newFile(name);
  await writeFile(file, text);
  return file;
}

async function ffmpeg(name, ...args) {
  const file = await newFile(name);
  await run('ffmpeg', ['-v', 'error', ...args, file]);
  return file;
}

// picture is a photograph-like JPEG that is not square, so that a crop shows.
export function picture(name = 'portrait.jpg', size = '1600x1200') {
  return ffmpeg(name, '-f', 'lavfi', '-i', `gradients=size=${size}:rate=1:seed=5:n=6:speed=0.01`, '-frames:v', '1', '-q:v', '3');
}

export function video(name = 'clip.mp4', seconds = 12) {
  return ffmpeg(name, '-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=25:duration=${seconds}`,
    '-f', 'lavfi', '-i', `sine=frequency=330:duration=${seconds}`,
    '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '25', '-c:a', 'aac', '-movflags', '+faststart');
}

export function hevc(name = 'hevc.mp4') {
  return ffmpeg(name, '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=1',
    '-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=none', '-tag:v', 'hvc1', '-pix_fmt', 'yuv420p');
}

// bigVideo is a real video filled up to a size with a box that players skip, its content random.
export async function bigVideo(name, size) {
  const head = await readFile(await video(`head-${name}`, 1));
  const filler = Buffer.alloc(8);
  filler.writeUInt32BE(size - head.length, 0);
  filler.write('free', 4, 'latin1');
  const file = await newFile(name);
  await writeFile(file, Buffer.concat([head, filler, randomBytes(size - head.length - 8)]));
  return file;
}

export async function sha256(file) {
  return createHash('sha256').update(await readFile(file)).digest('hex');
}

export async function sha256Of(url) {
  const res = await fetch(url);
  assert.equal(res.status, 200, `GET ${url}`);
  const hash = createHash('sha256');
  for await (const chunk of res.body) hash.update(chunk);
  return hash.digest('hex');
}

// The page in a test's words.

export const card = (page, file) => page.locator('#uploads .card').filter({ hasText: path.basename(file) });
export const earlierCard = (page, file) => page.locator('#earlier-list .card').filter({ hasText: path.basename(file) });

export async function waitState(locator, state) {
  await until(`the state ${state}`, async () => {
    const [now, text] = await locator.evaluate((node) => [node.dataset.state, node.innerText]);
    return now === state || assert.fail(`${now}: ${text}`);
  });
}

// uploadUrl is the address of the newest upload that the page remembers for a file, as the page has it.
export async function uploadUrl(page, file) {
  return until(`an address for ${path.basename(file)}`, () => page.evaluate((name) => {
    const entries = Object.entries(localStorage).filter(([key]) => key.startsWith('tus::')).map(([, value]) => JSON.parse(value));
    const mine = entries.filter((entry) => entry.metadata.filename === name);
    return mine.sort((a, b) => Date.parse(b.creationTime) - Date.parse(a.creationTime))[0]?.uploadUrl;
  }, path.basename(file)));
}

// sent is how much of a file the page has sent, between 0 and 1. The status of a running upload tells less: what the server
// has made durable so far.
export function sent(page, file) {
  return card(page, file).locator('progress').evaluate((p) => p.value);
}

export async function axe(page) {
  if (!await page.evaluate(() => 'axe' in globalThis)) {
    await page.evaluate(await readFile(require.resolve('axe-core/axe.min.js'), 'utf8'));
  }
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`);
}

// lookAt has axe look at the page as long as something on it is in its state: narrow and dark, wide and light. Nothing may be cut
// off, and the state must have stayed. With SHOTS, the name of a directory, it looks at more and leaves pictures there.
export async function lookAt(page, node) {
  const stateOf = () => node.evaluate((shown) => `${shown.dataset.state} ${shown.querySelector('.title').textContent}`);
  const state = await stateOf();
  const size = page.viewportSize();
  const views = [[360, 'dark'], [size.width, 'light']];
  if (process.env.SHOTS) views.push([360, 'light'], [1440, 'dark'], [1440, 'light']);
  for (const [width, colorScheme] of views) {
    const what = `${state}, ${width} px, ${colorScheme}`;
    await page.setViewportSize({ width, height: size.height });
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await axe(page), [], what);
    const tight = await page.evaluate(() => [...document.querySelectorAll('html, .lane, .card, .outcome')]
      .filter((box) => box.scrollWidth > box.clientWidth).map((box) => `${box.tagName}, ${box.scrollWidth} px: ${box.innerText}`));
    assert.deepEqual(tight, [], `${what}: something is cut off`);
    if (process.env.SHOTS) await page.screenshot({ path: path.join(process.env.SHOTS, `${what.replace(/\W+/g, '-')}.png`), fullPage: true });
  }
  await page.setViewportSize(size);
  assert.equal(await stateOf(), state, 'what was looked at');
}
