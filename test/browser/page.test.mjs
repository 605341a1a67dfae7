import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import * as h from './harness.mjs';

const here = path.resolve(import.meta.dirname, '..');
const vendor = path.resolve(here, '../web/vendor');

let server, browser;

before(async () => {
  [server, browser] = await Promise.all([h.Server.start(), h.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.kill();
  await h.cleanUp();
});

test('the vendored client is what the pinned packages make, byte for byte', async () => {
  const { version } = JSON.parse(await readFile(path.join(here, 'node_modules/tus-js-client/package.json'), 'utf8'));
  assert.equal(version, '4.3.1');
  const made = path.join(await h.scratchDir(), 'vendor');
  await promisify(execFile)(path.resolve(here, '../scripts/vendor'), [made]);
  assert.deepEqual(await readdir(made), await readdir(vendor));
  for (const name of await readdir(vendor)) {
    const [a, b] = await Promise.all([readFile(path.join(vendor, name)), readFile(path.join(made, name))]);
    assert.ok(a.equals(b), `${name} is not what the packages make`);
  }
});

test('the packages are pinned and name no registry', async () => {
  const manifest = JSON.parse(await readFile(path.join(here, 'package.json'), 'utf8'));
  for (const [name, version] of Object.entries(manifest.devDependencies)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
  const lock = JSON.parse(await readFile(path.join(here, 'package-lock.json'), 'utf8'));
  for (const [name, entry] of Object.entries(lock.packages)) {
    assert.equal(entry.resolved, undefined, name);
    if (name) assert.match(entry.integrity, /^sha512-/, name);
  }
});

test('a first visit loads less than 150 kB, from one origin, and is quiet', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const loaded = [];
  page.on('response', (r) => loaded.push(r));
  const messages = [];
  page.on('console', (m) => messages.push(m.text()));
  await page.goto(`${server.origin}/`);
  await h.until('the level', async () => await page.locator('#contrast').getAttribute('data-state') === 'live');
  await page.waitForLoadState('networkidle');

  // Of the stream of events there is no end, and no file in it.
  const files = loaded.filter((r) => r.request().method() === 'GET' && !r.url().endsWith('/events'));
  assert.ok(files.length >= 5 && files.every((r) => r.status() === 200), files.map((r) => `${r.status()} ${r.url()}`).join('\n'));
  assert.ok(files.every((r) => r.url().startsWith(`${server.origin}/`)));
  const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);
  const weight = sum((await Promise.all(files.map((r) => r.body()))).map((body) => body.length));
  assert.ok(weight < 150_000, `${weight} bytes`);
  const onTheWay = sum((await Promise.all(files.map((r) => r.request().sizes()))).map((sizes) => sizes.responseBodySize));
  assert.ok(onTheWay > 0 && onTheWay < 60_000, `${onTheWay} bytes compressed`);
  assert.deepEqual(messages, []);
  const shifted = await page.evaluate(() => new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => { for (const shift of list.getEntries()) sum += shift.value; }).observe({ type: 'layout-shift', buffered: true });
    requestAnimationFrame(() => setTimeout(() => resolve(sum)));
  }));
  assert.ok(shifted < 0.01, `what was there has moved when the level came: ${shifted}`);

  // The policy is in force, and would report: the harness listens for that in every test.
  const blocked = await page.evaluate(() => new Promise((resolve) => {
    addEventListener('securitypolicyviolation', (e) => resolve(e.effectiveDirective), { once: true });
    const img = document.createElement('img');
    img.src = 'https://elsewhere.invalid/pixel.png';
    document.body.append(img);
  }));
  assert.equal(blocked, 'img-src');
  await context.close();
});

test('the limits that the page names are those of the server', async () => {
  const { page, context } = await h.open(browser, server);
  const limit = (endpoint) => page.locator(`[data-limit="${endpoint}"]`).innerText().then((text) => text.replace(/\s/, ' '));
  for (const [endpoint, words] of [['avatars/', '8 MiB'], ['videos/', '64 GiB']]) {
    const res = await fetch(`${server.origin}/${endpoint}`, { method: 'OPTIONS', headers: { 'Tus-Resumable': '1.0.0' } });
    assert.equal(Number(res.headers.get('tus-max-size')), endpoint === 'avatars/' ? 8 * h.MiB : 64 * 1024 * h.MiB);
    assert.equal(await limit(endpoint), words);
  }

  // One that is set otherwise, as by a configuration.
  await page.route('**/avatars/', (route) => route.fulfill({ status: 204, headers: { 'Tus-Max-Size': String(2.5 * h.MiB) } }));
  await page.reload();
  await h.until('the other limit', async () => await limit('avatars/') === '2.5 MiB');
  await context.close();
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing serious, ${colorScheme}`, async () => {
    const { page, context, seen } = await h.open(browser, server, { colorScheme, allow: h.refusal });
    assert.deepEqual(await h.axe(page), [], 'idle');

    const rate = await h.throttle(page);
    const big = await h.randomFile('dataset.bin', h.large);
    await page.setInputFiles('#stream-input', big);
    await h.until('bytes on their way', async () => await h.sent(page, big) > 0.05);
    assert.deepEqual(await h.axe(page), [], 'sending');
    await h.card(page, big).getByRole('button', { name: /^Cancel/ }).click();
    assert.deepEqual(await h.axe(page), [], 'asking');
    await page.keyboard.press('Escape');
    await rate(-1);

    const clip = await h.video();
    await page.setInputFiles('#stream-input', [clip, await h.textFile('note.mp4', 'not a video '.repeat(1000))]);
    await page.setInputFiles('#avatar-input', await h.picture());
    await h.waitState(h.card(page, clip), 'ready');
    await h.waitState(h.card(page, 'note.mp4'), 'rejected');
    await page.locator('#avatar-outcome[data-state="ready"]').waitFor();
    assert.deepEqual(await h.axe(page), [], 'done and refused');

    await page.reload();
    await page.locator('#earlier-list .card').first().waitFor();
    assert.deepEqual(await h.axe(page), [], 'earlier uploads');

    h.assertQuiet(seen, server);
    await context.close();
  });
}

test('everything can be done with the keyboard', async () => {
  const file = await h.randomFile('keys.bin', h.large);
  const { page, context, seen } = await h.open(browser, server);
  await h.throttle(page);
  page.on('filechooser', (chooser) => chooser.setFiles(file)); // before the key: it takes the browser a moment to hand it over
  const focused = () => page.evaluate(() => ({
    id: document.activeElement.id,
    text: document.activeElement.textContent,
    ring: getComputedStyle(document.activeElement.matches('input') ? document.activeElement.nextElementSibling : document.activeElement).outlineStyle,
  }));

  await page.keyboard.press('Tab');
  assert.deepEqual(await focused(), { id: 'avatar-input', text: '', ring: 'solid' });
  await page.keyboard.press('Tab');
  assert.deepEqual(await focused(), { id: 'stream-input', text: '', ring: 'solid' });
  await page.keyboard.press('Enter');
  await h.until('some bytes', () => h.sent(page, file));

  await page.keyboard.press('Tab');
  assert.equal((await focused()).text, 'Pause');
  await page.keyboard.press('Enter');
  await h.waitState(h.card(page, file), 'paused');
  assert.deepEqual(await focused(), { id: '', text: 'Resume', ring: 'solid' });
  await page.keyboard.press('Space');
  await h.waitState(h.card(page, file), 'sending');

  await page.keyboard.press('Tab');
  assert.equal((await focused()).text, 'Cancel');
  await page.keyboard.press('Enter');
  assert.equal((await focused()).text, 'Keep going', 'what is safe has the focus');
  await page.keyboard.press('Escape');
  assert.equal((await focused()).text, 'Cancel', 'Escape goes back');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Shift+Tab');
  assert.equal((await focused()).text, 'Delete');
  await page.keyboard.press('Enter');
  await h.card(page, file).waitFor({ state: 'detached' });
  assert.equal((await focused()).id, 'stream-input');
  await h.until('it is said', async () => /keys\.bin cancelled/.test(await page.locator('#live').textContent()));

  h.assertQuiet(seen, server);
  await context.close();
});

test('a file dropped on the zone is sent, one dropped beside it does not replace the page', async () => {
  const { page, context, seen } = await h.open(browser, server);
  const drop = (selector, name) => page.evaluate(([to, called]) => {
    const data = new DataTransfer();
    data.items.add(new File(['by the wayside '.repeat(500)], called, { type: 'text/plain', lastModified: 1 }));
    const event = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(to).dispatchEvent(event);
    return event.defaultPrevented;
  }, [selector, name]);

  assert.equal(await drop('footer', 'beside.txt'), true);
  assert.equal(await drop('#stream-drop .face', 'dropped.txt'), true);
  await h.waitState(h.card(page, 'dropped.txt'), 'ready');
  assert.equal(await page.locator('#uploads .card').count(), 1);

  h.assertQuiet(seen, server);
  await context.close();
});

test('a narrow screen needs no sideways scrolling, and motion can be switched off', async () => {
  const { page, context, seen } = await h.open(browser, server,
    { viewport: { width: 320, height: 700 }, reducedMotion: 'reduce' });
  const file = await h.textFile(`${'a_very_long_name_without_any_space_in_it_'.repeat(4)}.txt`, 'x'.repeat(5000));
  await page.setInputFiles('#avatar-input', await h.picture());
  await page.setInputFiles('#stream-input', file);
  await h.waitState(h.card(page, file), 'ready');
  await page.locator('#avatar-outcome[data-state="ready"]').waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  assert.ok(await h.card(page, file).locator('.name').evaluate((name) => name.scrollWidth <= name.parentElement.clientWidth), 'the name is cut off');
  assert.equal(await page.locator('.current').first().evaluate((node) => getComputedStyle(node).animationName), 'none');

  h.assertQuiet(seen, server);
  await context.close();
});
