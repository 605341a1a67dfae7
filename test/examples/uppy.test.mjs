import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as h from '../browser/harness.mjs';
import * as p from './page.mjs';

let server, gate, site, browser;

before(async () => {
  [server, site] = await Promise.all([h.Server.start(), p.serve('uppy')]);
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

// choose puts a file on the Dashboard and presses its button.
async function choose(page, file) {
  await page.locator('.uppy-Dashboard-input').first().setInputFiles(file);
  await page.getByRole('button', { name: /^Upload 1 file/ }).click();
}

const sent = (page) => page.locator('.uppy-StatusBar-progress').evaluate((bar) => Number(bar.getAttribute('aria-valuenow')));

test('the Dashboard sends a video over the end of the server', async () => {
  const file = await h.bigVideo('holiday.mp4', h.large);
  const { page, context, seen } = await p.open(browser, site.origin, { allow: h.deadServer });
  const rate = await h.throttle(page);
  let answer;
  const held = new Promise((resolve) => { answer = resolve; });
  await page.route('**/status', (route) => held.then(() => route.continue()));
  await choose(page, file);
  const url = await p.uploadUrl(page, server);
  await h.until('some bytes', async () => await sent(page) > 5);
  await server.kill();
  await rate(-1);
  await server.start();
  await page.getByText('Waiting for the verdict').waitFor();
  assert.equal(await page.getByText('Complete', { exact: true }).count(), 0, 'complete is what the server says is ready');
  answer();
  await page.getByText('Complete', { exact: true }).waitFor();

  assert.equal(seen.posts.length, 1, 'created once, never anew');
  assert.ok(seen.offsets.at(-1) > 0, 'not from the first byte');
  assert.equal(await h.sha256Of(url), await h.sha256(file));
  assert.deepEqual(seen.console, []);
  await context.close();
});

test('after a reload the same file goes on where it stopped', async () => {
  const file = await h.bigVideo('train.mp4', h.large);
  const { page, context, seen } = await p.open(browser, site.origin, { allow: h.deadServer });
  const rate = await h.throttle(page);
  await choose(page, file);
  const url = await p.uploadUrl(page, server);
  await h.until('some bytes', async () => await sent(page) > 5);
  await page.reload();
  await rate(-1);
  await choose(page, file);
  await page.getByText('Complete', { exact: true }).waitFor();

  assert.equal(seen.posts.length, 1, 'created once, never anew');
  assert.ok(seen.offsets.at(-1) > 0, 'not from the first byte');
  assert.equal(await h.sha256Of(url), await h.sha256(file));
  await context.close();
});

test('what is no video by its name is refused before anything is sent', async () => {
  const { page, context, seen } = await p.open(browser, site.origin, { allow: /^\[Uppy\]/ });
  await page.locator('.uppy-Dashboard-input').first().setInputFiles(await h.textFile('minutes.txt', 'minutes'));
  await page.getByText(/You can only upload: video/).first().waitFor();
  assert.equal(seen.posts.length, 0);
  assert.deepEqual(seen.console, []);
  await context.close();
});

for (const loses of [0, 2]) test(`what is no video is refused with the reason${loses ? ', also when the answer is lost' : ''}`, async () => {
  const { page, context, seen } = await p.open(browser, site.origin, { allow: /^Failed to load resource|^\[Uppy\]/ });
  gate.loses = loses;
  await choose(page, await h.textFile('minutes.mp4', 'Minutes of the meeting. '.repeat(h.MiB / 4)));
  await page.getByText(/minutes\.mp4 was refused\. This file is plain text\./).first().waitFor();
  await page.getByText('Upload failed').first().waitFor();
  assert.equal(gate.loses, 0);
  assert.equal(seen.posts.length, 1, 'not sent again');
  await context.close();
});
