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

const count = (tab, method) => tab.seen.requests.filter((r) => r.method === method).length;

const size = h.large; // more than the buffers of a connection take when nobody reads

// twoTabs has the first tab at the beginning of its file, so slow that it stays there until told otherwise, and the second
// one told to send the same file.
async function twoTabs(file) {
  const first = await h.open(browser, server);
  const rate = await h.throttle(first.page);
  await first.page.setInputFiles('#stream-input', file);
  const url = await h.uploadUrl(first.page, file);
  await h.until('some bytes', async () => await h.sent(first.page, file) > 0.05);

  const second = await h.open(browser, server, { context: first.context });
  await second.page.setInputFiles('#stream-input', file);
  await h.waitState(h.card(second.page, file), 'elsewhere');
  assert.match(await h.card(second.page, file).innerText(), /runs in another tab/);
  return { first, second, url, rate };
}

test('a second tab leaves a running upload alone and shows its end', async () => {
  const file = await h.randomFile('shared.bin', size);
  const { first, second, url, rate } = await twoTabs(file);

  await rate(-1);
  await h.waitState(h.card(first.page, file), 'ready');
  await h.waitState(h.card(second.page, file), 'ready');
  assert.equal(count(first, 'PATCH'), 1, 'the first tab was never interrupted');
  assert.deepEqual([count(second, 'POST'), count(second, 'PATCH')], [0, 0], 'the second one sent nothing');
  assert.equal(await h.sha256Of(url), await h.sha256(file));

  h.assertQuiet(first.seen, server);
  h.assertQuiet(second.seen, server);
  await first.context.close();
});

test('when the first tab is closed, the second one goes on from where it was', async () => {
  const file = await h.randomFile('handed-over.bin', size);
  const { first, second, url } = await twoTabs(file);

  const resumed = second.page.waitForRequest((r) => r.method() === 'PATCH');
  server.freeze(); // a tab that closes is no longer slowed down, and would send the rest in its last moment
  await first.page.close();
  server.thaw();
  assert.ok(Number((await resumed).headers()['upload-offset']) > 0, 'not from the first byte');
  await h.waitState(h.card(second.page, file), 'ready');
  assert.equal(count(second, 'POST'), 0);
  assert.equal(await h.sha256Of(url), await h.sha256(file));

  h.assertQuiet(second.seen, server);
  await second.context.close();
});

test('the second tab can be told to leave it, and the first goes on', async () => {
  const file = await h.randomFile('left-alone.bin', size);
  const { first, second, url, rate } = await twoTabs(file);
  await h.lookAt(second.page, h.card(second.page, file));

  await h.card(second.page, file).getByRole('button', { name: /^Leave it to the other tab/ }).click();
  await h.card(second.page, file).waitFor({ state: 'detached' });
  await rate(-1);
  await h.waitState(h.card(first.page, file), 'ready');
  assert.equal(count(first, 'PATCH'), 1);
  assert.equal(count(second, 'DELETE'), 0);
  assert.equal(await h.sha256Of(url), await h.sha256(file));

  h.assertQuiet(first.seen, server);
  h.assertQuiet(second.seen, server);
  await first.context.close();
});
