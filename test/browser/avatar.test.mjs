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

test('a picture comes back in three sizes, cropped to a square', async () => {
  const { page, context, seen } = await h.open(browser, server);
  await page.setInputFiles('#avatar-input', await h.picture());

  const images = page.locator('#avatar-outcome figure img');
  await h.until('three pictures that are drawn', async () =>
    (await images.evaluateAll((all) => all.filter((img) => img.complete && img.naturalWidth > 0).length)) === 3);
  const sizes = await images.evaluateAll((all) => all.map((img) => [img.naturalWidth, img.naturalHeight]));
  assert.deepEqual(sizes, [[512, 512], [256, 256], [64, 64]]);
  assert.match(await page.locator('#avatar-outcome').innerText(), /Cropped to a square, in 3 sizes, without metadata/);
  assert.match(await page.locator('#avatar-outcome .account').innerText(),
    /1600\s×\s1200\spixels, [\d.]+\sKiB[^]*512\s×\s512\spixels, [\d.]+\sKiB, \d\d\s% less to load[^]*to send, [^]*to make the sizes/);
  await h.until('the preview of the finished picture', () => page.locator('#avatar-preview img').count());

  // What is copied is the whole address, and it answers with the picture.
  await page.getByRole('button', { name: 'Copy link to your avatar' }).click();
  const copied = await h.until('a copied link', () => page.evaluate(() => navigator.clipboard.readText()));
  const res = await fetch(copied);
  assert.equal(res.status, 200);
  assert.match(res.headers.get('content-type'), /^image\//);

  h.assertQuiet(seen, server);
  await context.close();
});

test('a text that calls itself a picture is refused in the words of the server', async () => {
  const { page, context, seen } = await h.open(browser, server, { allow: h.refusal });
  const file = await h.textFile('letter.jpg', 'Dear reader, this is not a photograph.\n'.repeat(200));
  const created = page.waitForResponse((r) => r.request().method() === 'POST' && r.url().endsWith('/avatars/'));
  await page.setInputFiles('#avatar-input', file);

  const outcome = page.locator('#avatar-outcome[data-state="rejected"]');
  await outcome.waitFor();
  const url = new URL((await created).headers().location, server.origin).href;
  const status = await server.status(url);
  assert.equal(status.state, 'rejected');
  assert.ok(status.reason.message.length > 10);
  assert.ok((await outcome.innerText()).includes(status.reason.message), await outcome.innerText());
  assert.ok((await page.locator('#live').textContent()).includes(status.reason.message), 'and it is read out');
  assert.equal(seen.requests.filter((r) => r.method === 'POST').length, 1, 'a refused file is not sent again');

  // A good picture after a bad one. Of a square nothing was cropped.
  await page.setInputFiles('#avatar-input', await h.picture('square.jpg', '700x700'));
  const ready = page.locator('#avatar-outcome[data-state="ready"]');
  await ready.locator('figure').first().waitFor();
  assert.match(await ready.innerText(), /In 3 square sizes, without metadata/);

  h.assertQuiet(seen, server);
  await context.close();
});

test('a picture beyond the limit is refused before its bytes are sent', async () => {
  const { page, context, seen } = await h.open(browser, server, { allow: h.refusal });
  const refused = page.waitForResponse((r) => r.request().method() === 'POST' && r.status() === 413);
  await page.setInputFiles('#avatar-input', await h.randomFile('poster.png', 9 * h.MiB));

  const problem = await (await refused).json();
  await page.locator('#avatar-outcome[data-state="rejected"]').waitFor();
  const shown = await page.locator('#avatar-outcome').innerText();
  assert.ok(shown.includes(problem.detail), `${shown} has not: ${problem.detail}`);
  assert.equal(seen.requests.filter((r) => r.method === 'PATCH').length, 0);

  h.assertQuiet(seen, server);
  await context.close();
});
