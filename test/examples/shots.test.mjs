// Pictures of the example pages to look at, not compared with anything: SHOTS=directory node --test examples/shots.test.mjs

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as h from '../browser/harness.mjs';
import * as p from './page.mjs';

const dir = process.env.SHOTS;
const skip = dir ? false : 'SHOTS names no directory';

let server, browser;

before(async () => {
  if (!dir) return;
  await mkdir(dir, { recursive: true });
  server = await h.Server.start();
  browser = await p.launch(server);
});

after(async () => {
  await browser?.close();
  await server?.kill();
  await h.cleanUp();
});

// How each page is given a file, and what it says when it has gone up and when it was refused.
const pages = {
  browser: {
    choose: (page, file) => page.setInputFiles('#file', file),
    ready: (page) => page.locator('video').evaluate((v) => v.readyState >= 2),
    refused: (page) => page.locator('[data-state="rejected"]').count(),
  },
  uppy: {
    choose: async (page, file) => {
      await page.locator('.uppy-Dashboard-input').first().setInputFiles(file);
      await page.getByRole('button', { name: /^Upload 1 file/ }).click();
    },
    ready: (page) => page.getByText('Complete', { exact: true }).count(),
    refused: (page) => page.getByText(/was refused/).count(),
  },
};

for (const [name, { choose, ready, refused }] of Object.entries(pages)) {
  test(name, { skip }, async () => {
    const site = await p.serve(name);
    const film = await h.bigVideo('holiday-in-the-alps-with-a-long-name.mp4', 16 * h.MiB);
    const minutes = await h.textFile('minutes.mp4', 'Minutes of the meeting. '.repeat(1000));
    for (const width of [360, 1440]) {
      for (const colorScheme of ['light', 'dark']) {
        const { page, context } = await p.open(browser, site.origin, { viewport: { width, height: 720 }, colorScheme });
        const shot = (state) => page.screenshot({ path: path.join(dir, `${name}-${state}-${width}-${colorScheme}.png`), fullPage: true });
        await shot('idle');
        const rate = await h.throttle(page, 4 * h.MiB);
        await choose(page, film);
        await page.waitForTimeout(1500);
        await shot('sending');
        await rate(-1);
        await h.until('the end', () => ready(page));
        await shot('ready');
        await page.reload();
        await choose(page, minutes);
        await h.until('the refusal', () => refused(page));
        await page.waitForTimeout(500);
        await shot('refused');
        await context.close();
      }
    }
    await site.stop();
  });
}
