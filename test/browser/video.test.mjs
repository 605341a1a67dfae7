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

test('a video plays by ranges, from wherever it is put', async () => {
  const file = await h.video();
  const { page, context, seen } = await h.open(browser, server);
  await page.setInputFiles('#stream-input', file);
  const card = h.card(page, file);
  await h.waitState(card, 'ready');

  const video = card.locator('video');
  await h.until('the length of the video', () => video.evaluate((v) => v.duration > 11 && v.videoWidth === 640));
  await video.evaluate((v) => {
    v.muted = true;
    v.currentTime = 8;
    return v.play();
  });
  await h.until('it to play on from there', () => video.evaluate((v) => v.currentTime > 8.3 && !v.seeking && v.error === null));
  assert.equal((await card.locator('.headers').innerText()).replace(/\s/g, ' '),
    'MP4 · 0:12 · 640 × 360 pixels · H.264 and AAC · plays while it loads');
  const url = await h.uploadUrl(page, file);
  assert.ok(seen.responses.some((r) => r.url === url && r.status === 206), 'no 206 was seen');

  h.assertQuiet(seen, server);
  await context.close();
});

test('a video that this browser cannot decode is offered as a download', async () => {
  const file = await h.hevc();
  const { page, context, seen } = await h.open(browser, server);
  await page.setInputFiles('#stream-input', file);
  const link = h.card(page, file).getByRole('link', { name: /^Download/ });
  await link.waitFor();
  assert.equal(await h.card(page, file).locator('video').count(), 0);
  assert.equal(await h.sha256Of(await link.evaluate((a) => a.href)), await h.sha256(file));

  h.assertQuiet(seen, server);
  await context.close();
});

test('what is no video is refused on its way, in the words of the server, and not tried again', async () => {
  const size = h.large;
  const file = await h.textFile('minutes.mp4', 'Minutes of the meeting. '.repeat(size / 24));
  const { page, context, seen } = await h.open(browser, server, { allow: /^Failed to load resource/ });
  await h.throttle(page);
  const created = page.waitForResponse((r) => r.request().method() === 'POST');
  await page.setInputFiles('#stream-input', file);
  const url = new URL((await created).headers().location, server.origin).href;

  const card = h.card(page, file);
  await h.waitState(card, 'rejected'); // long before all of it was sent
  const status = await server.status(url);
  assert.equal(status.state, 'rejected');
  assert.ok((await card.innerText()).includes(status.reason.message), await card.innerText());
  const count = (method) => seen.requests.filter((r) => r.method === method).length;
  assert.deepEqual([count('POST'), count('PATCH')], [1, 1]);

  // Nothing of it is left to come back to.
  await page.reload();
  await page.waitForLoadState('networkidle');
  assert.equal(await h.earlierCard(page, file).count(), 0);

  h.assertQuiet(seen, server);
  await context.close();
});
