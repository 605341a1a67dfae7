import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as h from './harness.mjs';

let server, browser;

before(async () => {
  [server, browser] = await Promise.all([h.Server.start(), h.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.kill();
  await h.cleanUp();
});

// tusRequests counts what the page asked of the endpoints, and with which offsets it began to send.
function tusRequests(page) {
  const posts = [];
  const offsets = [];
  page.on('request', (r) => {
    if (r.method() === 'POST') posts.push(r.url());
    if (r.method() === 'PATCH') offsets.push(Number(r.headers()['upload-offset']));
  });
  return { posts, offsets };
}

const offsetOf = async (url) => (await server.status(url)).offset;

test('killed on its way and reloaded, an upload goes on where it stopped when the file is chosen again', async () => {
  const size = 2 * h.large;
  const file = await h.bigVideo('holiday.mp4', size);
  const { page, context, seen } = await h.open(browser, server, { allow: h.deadServer });
  const { posts, offsets } = tusRequests(page);
  const rate = await h.throttle(page, 4 * h.MiB);

  await page.setInputFiles('#stream-input', file);
  const url = await h.uploadUrl(page, file);
  await h.until('a third of the bytes', async () => await h.sent(page, file) > 1 / 3);
  await server.kill();
  await page.goto('about:blank'); // or it would go on by itself as soon as the server is there
  await server.start();
  await page.goBack();

  const there = await offsetOf(url);
  assert.ok(there > size / 4 && there < size, `${there} of ${size} bytes survived the kill`);
  const earlier = h.earlierCard(page, file);
  await earlier.waitFor();
  assert.match(await earlier.locator('.figures').innerText(), /^[\d.]+\sMiB of 96\sMiB · [2-9]\d\s%$/);

  await rate(-1);
  const input = earlier.getByLabel('Choose the file to go on');
  await input.focus();
  await input.setInputFiles(file);
  await earlier.waitFor({ state: 'detached' });
  await h.until('the focus', () => h.card(page, file).getByRole('button').first().evaluate((first) => first === document.activeElement));
  await h.waitState(h.card(page, file), 'ready');
  assert.equal(await h.earlierCard(page, file).count(), 0, 'it is no longer among the earlier ones');
  assert.deepEqual(posts.length, 1, 'created once, never anew');
  assert.equal(offsets.length, 2);
  assert.ok(offsets[1] >= there, `went on at ${offsets[1]}, not before ${there}`);
  assert.equal(await h.sha256Of(url), await h.sha256(file));

  h.assertQuiet(seen, server);
  await context.close();
});

test('when the server dies and comes back, an upload goes on by itself', async () => {
  const size = h.large;
  const file = await h.randomFile('backup.tar', size);
  const { page, context, seen } = await h.open(browser, server, { allow: h.deadServer });
  const { posts, offsets } = tusRequests(page);
  const rate = await h.throttle(page);

  await page.setInputFiles('#stream-input', file);
  const url = await h.uploadUrl(page, file);
  await h.until('some bytes', async () => await h.sent(page, file) > 0.1);
  const card = h.card(page, file);
  await card.getByRole('button', { name: /^Cancel/ }).focus();
  await server.kill();
  await h.waitState(card, 'waiting');
  assert.deepEqual(await card.getByRole('button').allInnerTexts(), ['Pause', 'Try now', 'Cancel']);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Cancel', 'the focus stays');
  assert.match(await card.locator('.line').innerText(), /goes on by itself/);

  await rate(-1);
  await server.start();
  const there = await offsetOf(url);
  await h.waitState(card, 'ready');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Done', 'and comes back, while for a moment there was no button');
  assert.equal(posts.length, 1, 'created once, never anew');
  assert.ok(offsets.length >= 2 && offsets.slice(1).every((o) => o >= there && o > 0), `${offsets} after ${there}`);
  assert.equal(await h.sha256Of(url), await h.sha256(file));

  h.assertQuiet(seen, server);
  await context.close();
});

test('a device that was offline goes on as soon as the network is back', async () => {
  const size = h.large; // more than the buffers of a connection take when nobody reads
  const file = await h.randomFile('train.bin', size);
  const { page, context, seen } = await h.open(browser, server,
    { allow: /^Failed to load resource: net::ERR_(INTERNET_DISCONNECTED|NETWORK_CHANGED)/ });
  const { posts, offsets } = tusRequests(page);
  const network = await h.throttle(page);
  const card = h.card(page, file);

  await page.setInputFiles('#stream-input', file);
  const url = await h.uploadUrl(page, file);
  await h.until('some bytes', async () => await h.sent(page, file) > 0.05);
  server.freeze(); // while it is offline the browser fails new requests, but lets a running one go on
  try {
    await network(-1, true);
    await h.waitState(card, 'waiting');
    await h.until('the word offline', async () => /You are offline/.test(await card.innerText()));
    await h.lookAt(page, card);
  } finally {
    server.thaw();
  }

  await network(-1, false);
  await h.waitState(card, 'ready');
  assert.equal(posts.length, 1);
  assert.ok(offsets.at(-1) > 0);
  assert.equal(await h.sha256Of(url), await h.sha256(file));

  h.assertQuiet(seen, server);
  await context.close();
});

test('pause stops the bytes, resume goes on with the next one, cancel deletes', async () => {
  const size = h.large;
  const file = await h.randomFile('archive.zip', size);
  const { page, context, seen } = await h.open(browser, server, { allow: /^Failed to load resource: .*404/ });
  const { posts, offsets } = tusRequests(page);
  const rate = await h.throttle(page);
  const card = h.card(page, file);
  const press = (name) => card.getByRole('button', { name }).click();

  await page.setInputFiles('#stream-input', file);
  const url = await h.uploadUrl(page, file);
  await h.until('some bytes', async () => await h.sent(page, file) > 0.05);
  await h.until('a speed and a time', async () => /[KM]iB\/s · .* left/.test(await card.locator('.line').innerText()));

  const stopped = page.waitForEvent('requestfailed', (r) => r.method() === 'PATCH');
  await press(/^Pause/);
  await stopped;
  await h.waitState(card, 'paused');
  const kept = await h.until('what had arrived', () => offsetOf(url));
  assert.ok(kept < size);
  // The name of the button has changed under the focus, not the focus.
  assert.match(await page.evaluate(() => document.activeElement.textContent), /^Resume$/);
  await h.lookAt(page, card);

  await press(/^Resume/);
  await h.until('a second PATCH', () => offsets.length === 2);
  assert.equal(offsets[1], kept, 'nothing came in between, nothing is sent twice');
  await h.until('bytes after the pause', async () => await h.sent(page, file) > kept / size);

  await press(/^Cancel/);
  await press(/^Keep going/);
  await h.waitState(card, 'sending');
  assert.equal((await server.status(url)).state, 'receiving');
  await press(/^Cancel/);
  await press(/^Delete/);
  await card.waitFor({ state: 'detached' });
  assert.equal(await server.status(url), 404);
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('tus::')).length), 0);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'stream-input', 'the focus has a place to be');
  assert.equal(posts.length, 1);

  h.assertQuiet(seen, server);
  await context.close();
});

test('what was sent stays on the card, and is asked about, before the server counts it', async () => {
  const file = await h.randomFile('uncounted.bin', h.large);
  const { page, context, seen } = await h.open(browser, server);
  const rate = await h.throttle(page);
  const card = h.card(page, file);
  const press = (name) => card.getByRole('button', { name }).click();

  await page.setInputFiles('#stream-input', file);
  await h.until('some bytes', async () => await h.sent(page, file) > 0);
  await press(/^Pause/);
  await h.waitState(card, 'paused');
  const sent = await h.sent(page, file);

  // A disk that takes its time: what came last is not in the status yet, and the exact question has to wait.
  let synced;
  const sync = new Promise((resolve) => { synced = resolve; });
  await page.route('**/files/*/status', async (route) => {
    const status = await (await route.fetch()).json();
    await route.fulfill({ json: { ...status, offset: 0 } });
  });
  await page.route('**/files/*', async (route) => {
    if (route.request().method() === 'HEAD') await sync;
    await route.continue();
  });
  const asked = page.waitForRequest((r) => r.method() === 'HEAD');
  await press(/^Resume/);
  await asked;
  await press(/^Cancel/);
  await card.getByRole('group', { name: /^Delete the \d.* that have been sent\?$/ }).waitFor();
  await press(/^Keep going/);
  assert.ok(await h.sent(page, file) >= sent, 'the level has fallen');

  await page.unroute('**/files/*/status');
  await rate(-1);
  synced();
  await h.waitState(card, 'ready');
  assert.equal(await h.sha256Of(await h.uploadUrl(page, file)), await h.sha256(file));

  h.assertQuiet(seen, server);
  await context.close();
});

test('several files wait for their turn and all arrive', async () => {
  const files = await Promise.all([1, 2, 3, 4].map((n) => h.randomFile(`part-${n}.bin`, h.large)));
  const { page, context, seen } = await h.open(browser, server);
  const rate = await h.throttle(page);
  await page.setInputFiles('#stream-input', [...files, await h.textFile('empty.txt', '')]);

  await h.until('two that run', async () => await page.locator('#uploads .card[data-state="sending"]').count() === 2);
  await h.until('others that wait', async () => await page.locator('#uploads .card[data-state="queued"]').count() >= 1);
  await page.setInputFiles('#stream-input', files[3]);
  assert.match(await page.locator('#stream-problem').innerText(), /part-4\.bin is in the list already/);
  await rate(-1);
  await h.until('all five', async () => await page.locator('#uploads .card[data-state="ready"]').count() === 5);
  for (const file of files) assert.equal(await h.sha256Of(await h.uploadUrl(page, file)), await h.sha256(file));

  h.assertQuiet(seen, server);
  await context.close();
});

test('an earlier upload that the server no longer has is said once and taken off the list', async () => {
  const file = await h.randomFile('lost.bin', h.large);
  const { page, context, seen } = await h.open(browser, server, { allow: /^Failed to load resource: .*404/ });
  await h.throttle(page);
  await page.setInputFiles('#stream-input', file);
  const url = await h.uploadUrl(page, file);
  await h.until('some bytes', async () => await h.sent(page, file) > 0);
  await page.goto('about:blank'); // a closed tab
  const deleted = await fetch(url, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } });
  assert.equal(deleted.status, 204);

  await page.goto(`${server.origin}/`);
  const earlier = h.earlierCard(page, file);
  await earlier.waitFor();
  assert.match(await earlier.innerText(), /no longer has this upload/);
  await h.lookAt(page, earlier);
  await page.reload();
  await page.waitForLoadState('networkidle');
  assert.equal(await h.earlierCard(page, file).count(), 0);

  h.assertQuiet(seen, server);
  await context.close();
});

test('another file is not taken for the one that was begun', async () => {
  const file = await h.randomFile('begun.bin', h.large);
  const other = await h.randomFile('other.bin', 3 * h.MiB);
  const { page, context, seen } = await h.open(browser, server, { allow: h.deadServer });
  const { posts } = tusRequests(page);
  await h.throttle(page);
  await page.setInputFiles('#stream-input', file);
  const url = await h.uploadUrl(page, file);
  await h.until('some bytes', async () => await h.sent(page, file) > 0);
  await page.reload();

  const earlier = h.earlierCard(page, file);
  await h.until('what had arrived', () => offsetOf(url));
  await earlier.getByLabel('Choose the file to go on').setInputFiles(other);
  await h.until('a sentence', async () => /not the same file: it is other\.bin, 3\sMiB/.test(await earlier.innerText()));
  await h.lookAt(page, earlier);
  assert.equal(posts.length, 1);

  // Another tab changes something, so all are listed anew, while the server is away.
  await earlier.getByRole('button', { name: /^Discard/ }).focus();
  await server.kill();
  await page.evaluate(() => dispatchEvent(new StorageEvent('storage', { key: 'tus::' })));
  await h.waitState(earlier, 'waiting');
  assert.match(await earlier.innerText(), /The server cannot be reached\s+Ask again when it is back/);
  await h.lookAt(page, earlier);
  await server.start();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Ask again', 'the focus stays');
  await page.keyboard.press('Enter');
  await h.waitState(earlier, 'partial');
  assert.ok(await earlier.evaluate((card) => card.contains(document.activeElement)), 'and stays');
  await earlier.getByRole('button', { name: /^Discard/ }).click();
  await earlier.getByRole('button', { name: /^Delete/ }).click();
  await earlier.waitFor({ state: 'detached' });
  assert.equal(await server.status(url), 404);

  h.assertQuiet(seen, server);
  await context.close();
});
