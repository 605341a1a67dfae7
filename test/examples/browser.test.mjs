import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as h from '../browser/harness.mjs';
import * as p from './page.mjs';

let server, gate, site, browser;

before(async () => {
  [server, site] = await Promise.all([h.Server.start(), p.serve('browser')]);
  gate = await p.gate(server);
  browser = await p.launch(gate);
});

after(async () => {
  await browser?.close();
  gate?.close();
  await site?.stop();
  await server?.kill();
  await h.cleanUp();
});

const line = (page) => page.locator('#line');
const state = (page, name) => page.locator(`#line[data-state="${name}"]`).waitFor();
const sent = (page) => page.locator('#sent').evaluate((bar) => bar.value);

test('the page goes on by itself when the server dies and comes back, and shows the video', async () => {
  const file = await h.bigVideo('holiday.mp4', h.large);
  const { page, context, seen } = await p.open(browser, site.origin, { allow: h.deadServer });
  const rate = await h.throttle(page);
  await page.setInputFiles('#file', file);
  const url = await p.uploadUrl(page, server);
  await h.until('some bytes', async () => await sent(page) > 0.05);
  await server.kill();
  await rate(-1);
  await server.start();
  await state(page, 'ready');

  await h.until('the picture', () => page.locator('video').evaluate((v) => v.readyState >= 1 && v.videoWidth === 640));
  assert.equal(seen.posts.length, 1, 'created once, never anew');
  assert.ok(seen.offsets.at(-1) > 0, 'not from the first byte');
  assert.equal(await h.sha256Of(url), await h.sha256(file));
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
  assert.deepEqual(seen.console, []);
  await context.close();
});

test('paused, resumed, reloaded and chosen again, a video goes on where it stopped', async () => {
  const file = await h.bigVideo('train.mp4', h.large);
  const { page, context, seen } = await p.open(browser, site.origin, { allow: h.deadServer });
  const rate = await h.throttle(page);
  await page.setInputFiles('#file', file);
  const url = await p.uploadUrl(page, server);
  await h.until('some bytes', async () => await sent(page) > 0.05);
  await page.getByRole('button', { name: 'Pause' }).click();
  await state(page, 'paused');
  const kept = await h.until('what had arrived', async () => (await server.status(url)).offset);
  await page.getByRole('button', { name: 'Resume' }).click();
  await h.until('more', async () => await sent(page) > kept / h.large + 0.05);

  await page.reload();
  assert.match(await page.locator('#unfinished').innerText(), /train\.mp4/);
  await rate(-1);
  await page.setInputFiles('#file', file);
  await state(page, 'ready');
  assert.equal(seen.posts.length, 1);
  assert.equal(seen.offsets.length, 3);
  assert.ok(seen.offsets[1] > 0 && seen.offsets[2] > seen.offsets[1], `${seen.offsets}`);
  assert.equal(await h.sha256Of(url), await h.sha256(file));
  assert.deepEqual(seen.console, []);
  await context.close();
});

for (const loses of [0, 2]) test(`what is no video is refused and not sent again${loses ? ', also when the answer is lost' : ''}`, async () => {
  const file = await h.textFile('minutes.mp4', 'Minutes of the meeting. '.repeat(h.MiB / 4));
  gate.loses = loses;
  const { page, context, seen } = await p.open(browser, site.origin, { allow: /^Failed to load resource/ });
  await page.setInputFiles('#file', file);
  await state(page, 'rejected');
  assert.equal(gate.loses, 0);
  assert.match(await line(page).innerText(), /^This file is plain text\./);
  assert.equal(await page.getByRole('button', { name: 'Pause' }).isDisabled(), true);
  assert.equal(seen.posts.length, 1);
  await page.reload();
  assert.equal(await page.locator('#unfinished').isHidden(), true, 'nothing is left to go on with');
  assert.deepEqual(seen.console, []);
  await context.close();
});
