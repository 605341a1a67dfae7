import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as h from './harness.mjs';

let server, browser;

before(async () => {
  [server, browser] = await Promise.all([h.Server.start({ flags: ['--public-events', 'named'] }), h.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.kill();
  await h.cleanUp();
});

const panel = (page, state) => h.until(`the panel to be ${state}`, async () =>
  await page.locator('#contrast').getAttribute('data-state') === state);

// number reads one of the page's sizes back, in bytes.
async function number(page, id) {
  const [, digits, unit] = /^([\d.]+)\s(\w+)/.exec(await page.locator(id).innerText());
  return Number(digits) * { byte: 1, bytes: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[unit];
}

// streams are the addresses of the event streams that the page has asked for, and how many of them are open.
function streams(page) {
  const asked = [];
  let open = 0;
  const ours = (r) => new URL(r.url()).pathname === '/events';
  page.on('request', (r) => { if (ours(r)) { asked.push(new URL(r.url()).searchParams); open++; } });
  for (const end of ['requestfailed', 'requestfinished']) page.on(end, (r) => { if (ours(r)) open--; });
  return { asked, open: () => open };
}

// Together, since they mostly wait.
describe('the level', { concurrency: true }, () => {
  test('bytes climb, the level stays, and both are told in words', async () => {
    const { page, context, seen } = await h.open(browser, server);
    await panel(page, 'live');
    assert.equal(await number(page, '#level-received'), 0);
    const size = 64 * h.MiB;
    await Promise.all([1, 2, 3, 4].map(() => h.send(server, size)));
    await h.until('all of the bytes', async () => await number(page, '#level-received') >= 4 * size);
    assert.ok(await number(page, '#level-memory') < 100 * h.MiB, 'the memory of the server grew with the bytes');
    await h.until('the sentence', async () =>
      /^In the last \d+ seconds?, \d+ MiB flowed through; the server’s memory stayed (at|between)/.test((await page.locator('#level-words').innerText()).replace(/\s/g, ' ')));
    assert.equal(await page.locator('.plots').getAttribute('aria-labelledby'), 'level-words');

    // The upper line ends near the top, the lower one is level: less than a third of the height apart.
    const heights = (id) => page.locator(`${id} .line-of`).evaluate((line) => [...line.getAttribute('d').matchAll(/ ([\d.]+)/g)].map((m) => Number(m[1])));
    const spread = (ys) => Math.max(...ys) - Math.min(...ys);
    const climb = await heights('#plot-received');
    assert.ok(climb[0] > 95 && climb.at(-1) < 60, `${climb}`);
    assert.ok(spread(await heights('#plot-memory')) < 33, `${await heights('#plot-memory')}`);
    assert.match(await page.locator('#plot-received .tick').first().innerText(), /^\d+\sMiB$/);

    h.assertQuiet(seen, server);
    await context.close();
  });

  test('however fast the bytes are, the page is changed a few times a second', async () => {
    // Of a larger file the browser itself would tell less often: it waits for half a percent.
    const file = await h.emptyFile('fast.bin', 240 * h.MiB);
    const { page, context, seen } = await h.open(browser, server);
    await panel(page, 'live');
    await h.throttle(page, 16 * h.MiB);
    await page.setInputFiles('#stream-input', file);
    await h.until('bytes on their way', async () => await h.sent(page, file) > 0);
    const batches = await page.evaluate(() => new Promise((resolve) => {
      let changes = 0;
      let told = 0;
      new MutationObserver(() => { changes++; }).observe(document.documentElement, { subtree: true, childList: true, attributes: true, characterData: true });
      addEventListener('level', () => {
        if (++told === 1) changes = 0;
        if (told === 3) resolve(changes);
      });
    }));
    // The browser tells of ten steps in each of the two seconds.
    assert.ok(batches <= 14, `${batches} changes in 2 seconds`);

    h.assertQuiet(seen, server);
    await context.close();
  });

  test('an end whose answer was lost is heard, not asked for', async () => {
    const file = await h.randomFile('unanswered.bin', 3 * h.MiB);
    const { page, context, seen } = await h.open(browser, server);
    const { asked } = streams(page);
    await panel(page, 'live');
    await page.route('**/files/*', async (route) => {
      if (route.request().method() === 'PATCH') await route.fetch(); // and its answer goes nowhere
      else await route.continue();
    });
    await page.setInputFiles('#stream-input', file);
    await h.waitState(h.card(page, file), 'ready');
    const url = await h.uploadUrl(page, file);
    assert.deepEqual(asked.at(-1).getAll('upload'), [new URL(url).pathname], 'the stream names the upload');
    const questions = seen.requests.filter((r) => r.url === `${url}/status`).length;
    assert.ok(questions <= 2, `asked ${questions} times`);

    h.assertQuiet(seen, server);
    await context.close();
  });

  test('a tab that nobody looks at holds no connection, and misses nothing', async () => {
    const file = await h.randomFile('unseen.bin', 2 * h.MiB);
    const { page, context, seen } = await h.open(browser, server);
    const { asked, open } = streams(page);
    await page.setInputFiles('#stream-input', file);
    await h.waitState(h.card(page, file), 'ready');
    await h.until('a stream', () => open() === 1);

    await h.hide(page);
    await h.until('no stream', () => open() === 0);
    await h.send(server, h.MiB);
    const before = asked.length;
    await h.hide(page, false);
    await h.until('a stream again', () => asked.length === before + 1 && open() === 1);
    assert.match(asked.at(-1).get('lastEventId'), /^\w+-\d+$/);
    await h.until('what has flowed meanwhile', async () => await number(page, '#level-received') >= 3 * h.MiB);

    h.assertQuiet(seen, server);
    await context.close();
  });

  test('a stream that is refused or lost comes back by itself', async (t) => {
    const mortal = await h.Server.start();
    t.after(() => mortal.kill());
    const { page, context, seen } = await h.open(browser, mortal, { allow: new RegExp(`${h.refusal.source}|${h.deadServer.source}`) });
    await panel(page, 'live');
    await h.send(mortal, h.MiB);
    await h.until('the bytes', async () => await number(page, '#level-received') === h.MiB);
    await page.route('**/events**', (route) => route.fulfill({ status: 503, body: '' }), { times: 1 });
    await mortal.kill();
    await panel(page, 'lost');
    assert.match(await page.locator('#level-words').innerText(), /^No contact with the server/);
    assert.deepEqual(await page.locator('#level-speed, #level-active').allInnerTexts(), ['–', '–'], 'nobody knows these now');
    await mortal.start();
    await panel(page, 'live');
    // The new server counts from zero: what was seen before is kept.
    await h.send(mortal, h.MiB);
    await h.until('both', async () => await number(page, '#level-received') === 2 * h.MiB);

    h.assertQuiet(seen, mortal);
    await context.close();
  });

  test('a server that keeps its level back has no panel, and the page no stream but for its uploads', async (t) => {
    const silent = await h.Server.start({ flags: ['--show-level=false', '--public-events', 'named'] });
    t.after(() => silent.kill());
    const { page, context, seen } = await h.open(browser, silent);
    const { asked, open } = streams(page);
    await page.locator('#contrast[hidden]').waitFor({ state: 'attached' });
    await page.reload();
    assert.equal(await page.locator('#contrast').isVisible(), false);
    await page.waitForLoadState('networkidle');
    assert.equal(open(), 0);

    const before = asked.length;
    const file = await h.bigVideo('named.mp4', 8 * h.MiB);
    const rate = await h.throttle(page);
    await page.setInputFiles('#stream-input', file);
    await h.until('a stream', () => asked.length > before);
    assert.match(asked.at(-1).get('upload'), /^\/videos\/\w+$/);
    await rate(-1);
    await h.waitState(h.card(page, file), 'ready');
    assert.equal(await page.locator('#contrast').isVisible(), false);

    h.assertQuiet(seen, silent);
    await context.close();
  });
});
