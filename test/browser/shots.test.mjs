// Pictures of the page to look at, not compared with anything: SHOTS=directory node --test browser/shots.test.mjs

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as h from './harness.mjs';

const dir = process.env.SHOTS;
const skip = dir ? false : 'SHOTS names no directory';

let server, browser;

before(async () => {
  if (!dir) return;
  await mkdir(dir, { recursive: true });
  [server, browser] = await Promise.all([h.Server.start(), h.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.kill();
  await h.cleanUp();
});

for (const width of [360, 768, 1440]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${width} px, ${colorScheme}`, { skip }, async () => {
      const { page, context } = await h.open(browser, server, { viewport: { width, height: 900 }, colorScheme });
      const shot = (state) => page.screenshot({ path: path.join(dir, `${state}-${width}-${colorScheme}.png`), fullPage: true });
      const [portrait, clip, film, archive] = await Promise.all([
        h.picture(), h.video(), h.bigVideo('holiday-in-the-alps.mp4', 24 * h.MiB), h.randomFile('backup.tar', 16 * h.MiB)]);
      await shot('idle');

      const rate = await h.throttle(page, 4 * h.MiB);
      await page.setInputFiles('#stream-input', [film, archive, clip]);
      const level = (file) => h.card(page, file).locator('progress').evaluate((p) => p.value);
      await h.until('a part of the second', async () => await level(archive) > 0.3);
      await h.card(page, archive).getByRole('button', { name: /^Pause/ }).click();
      await h.until('a good part of the first', async () => await level(film) > 0.55);
      await shot('uploading');

      // In this order: a film that is ready takes its room, and what is below moves away from under the pointer.
      await h.card(page, archive).getByRole('button', { name: /^Resume/ }).click();
      await rate(-1);
      await page.setInputFiles('#avatar-input', portrait);
      for (const file of [film, archive, clip]) await h.waitState(h.card(page, file), 'ready');
      await h.card(page, film).getByRole('button', { name: /^Done/ }).click();
      await page.locator('#avatar-outcome[data-state="ready"]').waitFor();
      await h.card(page, clip).scrollIntoViewIfNeeded(); // a frame is drawn only where it is seen
      await h.until('the pictures and the first frame', () => page.evaluate(() =>
        [...document.images].every((img) => img.complete) && [...document.querySelectorAll('video')].every((v) => v.readyState >= 2)));
      await shot('done');

      await page.setInputFiles('#avatar-input', await h.textFile('portrait.jpg', 'not a picture '.repeat(400)));
      await page.setInputFiles('#stream-input', await h.textFile('minutes.mp4', 'not a video '.repeat(1000)));
      await page.locator('#avatar-outcome[data-state="rejected"]').waitFor();
      await h.waitState(h.card(page, 'minutes.mp4'), 'rejected');
      await shot('refused');
      await context.close();
    });
  }
}
