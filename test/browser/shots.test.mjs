// Pictures of the page to look at, not compared with anything: SHOTS=directory node --test browser/shots.test.mjs

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as h from './harness.mjs';

const dir = process.env.SHOTS;
const skip = dir ? false : 'SHOTS names no directory';

const GiB = 1024 * h.MiB;

let server, browser;

before(async () => {
  if (!dir) return;
  await mkdir(dir, { recursive: true });
  const profiles = '  - name: file\n    lifetime: 8s\n    maxBytes: 600MiB\n';
  [server, browser] = await Promise.all([
    h.Server.start({ profiles, flags: ['--sweep-interval', '1s', '--durability', 'none'] }), h.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.kill();
  await h.cleanUp();
});

// flow sends gigabytes past the page, so that its curves have something to show.
async function flow(bytes) {
  const each = 256 * h.MiB;
  for (let sent = 0; sent < bytes; sent += each) {
    const url = await h.send(server, each);
    await fetch(url, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } });
  }
}

for (const width of [360, 768, 1440]) {
  test(`${width} px`, { skip }, async () => {
    const { page, context } = await h.open(browser, server, { viewport: { width, height: 900 } });
    const shot = async (state) => {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: path.join(dir, `${state}-${width}-${colorScheme}.png`), fullPage: true, animations: 'disabled' });
      }
    };
    const [portrait, clip, film, archive, notes, large] = await Promise.all([
      h.picture(), h.video(), h.bigVideo('holiday-in-the-alps.mp4', 24 * h.MiB), h.randomFile('backup.tar', 24 * h.MiB),
      h.textFile('minutes.mp4', 'not a video '.repeat(1000)), h.randomFile('disk-image.iso', 601 * h.MiB)]);
    await page.locator('#contrast[data-state="live"]').waitFor();
    await shot('empty');

    await flow(3 * GiB);
    await h.until('the sentence', async () => /GiB flowed/.test(await page.locator('#level-words').innerText()));
    await shot('level');

    const rate = await h.throttle(page, 4 * h.MiB);
    await page.setInputFiles('#stream-input', [film, archive]);
    await h.until('a part of the second', async () => await h.sent(page, archive) > 0.3);
    await h.card(page, archive).getByRole('button', { name: /^Pause/ }).click();
    const second = await h.open(browser, server, { context, viewport: { width, height: 900 } });
    await second.page.setInputFiles('#stream-input', film);
    await h.waitState(h.card(second.page, film), 'elsewhere');
    await second.page.screenshot({ path: path.join(dir, `second-tab-${width}-light.png`), fullPage: true });
    await second.page.close();
    await h.until('a good part of the first', async () => await h.sent(page, film) > 0.55);
    await shot('uploading-and-paused');

    await server.kill();
    await h.waitState(h.card(page, film), 'waiting');
    await shot('lost');
    await server.start();
    await h.waitState(h.card(page, archive), 'failed');
    await shot('expired');

    // In this order: a film that is ready takes its room, and what is below moves away from under the pointer.
    await h.card(page, archive).getByRole('button', { name: /^Dismiss/ }).click();
    await rate(-1);
    await page.setInputFiles('#stream-input', clip);
    await page.setInputFiles('#avatar-input', portrait);
    for (const file of [film, clip]) await h.waitState(h.card(page, file), 'ready');
    await h.card(page, film).getByRole('button', { name: /^Done/ }).click();
    await page.locator('#avatar-outcome[data-state="ready"]').waitFor();
    await h.card(page, clip).scrollIntoViewIfNeeded(); // a frame is drawn only where it is seen
    await h.until('the pictures and the first frame', () => page.evaluate(() =>
      [...document.images].every((img) => img.complete) && [...document.querySelectorAll('video')].every((v) => v.readyState >= 2)));
    await shot('ready');

    await page.setInputFiles('#avatar-input', await h.textFile('portrait.jpg', 'not a picture '.repeat(400)));
    await page.setInputFiles('#stream-input', [notes, large]);
    await page.locator('#avatar-outcome[data-state="rejected"]').waitFor();
    for (const file of [notes, large]) await h.waitState(h.card(page, file), 'rejected');
    await shot('refused');
    await context.close();
  });
}
