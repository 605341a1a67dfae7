// Each thing that can come between a file and its end, brought about in the real server wherever that is possible, and what the
// page says to it.

import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import * as h from './harness.mjs';

let server, browser;

// Limits that a test meets at once.
const profiles = `  - name: file
    maxBytes: 48MiB
  - name: avatar
    maxPixels: 1000000
`;

before(async () => {
  [server, browser] = await Promise.all([h.Server.start({ profiles }), h.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.kill();
  await h.cleanUp();
});

// shows waits until a card has a state and says this, by its title and the server's or the page's own sentence.
async function shows(card, state, title, line) {
  await h.waitState(card, state);
  await h.until(`“${title}”`, async () => {
    const text = await card.innerText();
    return text.includes(title) && line.test(text) || assert.fail(text);
  });
}

const press = (card, name) => card.getByRole('button', { name }).click();

// Together, since they mostly wait.
describe('what comes between', { concurrency: true }, () => {
  test('paused, out of time, begun anew', async (t) => {
    // What is begun and left expires while the test looks on.
    const server = await h.Server.start({ profiles: '  - name: file\n    lifetime: 6s\n', flags: ['--sweep-interval', '1s'] });
    t.after(() => server.kill());
    const [file, closed] = await Promise.all(['forgotten.bin', 'closed.bin'].map((name) => h.randomFile(name, h.large)));
    const { page, context, seen } = await h.open(browser, server, { allow: h.refusal });
    const rate = await h.throttle(page);
    // One whose tab is closed, and another that is paused.
    const other = await h.open(browser, server, { context });
    await h.throttle(other.page);
    await other.page.setInputFiles('#stream-input', closed);
    await h.until('some bytes', async () => await h.sent(other.page, closed) > 0);
    await press(h.card(other.page, closed), /^Pause/);
    await shows(h.card(other.page, closed), 'paused', 'Your upload is paused', /stays on the server/); // so no byte is on its way
    await other.page.close();

    await page.setInputFiles('#stream-input', file);
    const card = h.card(page, file);
    await h.until('some bytes', async () => await h.sent(page, file) > 0);
    await press(card, /^Pause/);
    await shows(card, 'paused', 'Your upload is paused', /What has arrived stays on the server/);

    await shows(card, 'failed', 'This upload has expired', /left unfinished for too long/);
    await h.lookAt(page, card);
    assert.match(await page.locator('#live').textContent(), /forgotten\.bin: This upload has expired/, 'and it is read out');
    const left = await h.uploadUrl(page, closed);
    await h.until('the end of the other', async () => (await server.status(left)).state === 'expired');
    await page.reload();
    await shows(h.earlierCard(page, closed), 'failed', 'This upload has expired', /Choose the file once more/);
    await h.lookAt(page, h.earlierCard(page, closed));
    await press(h.earlierCard(page, closed), /^Dismiss/);

    await rate(-1);
    await page.setInputFiles('#stream-input', file);
    await shows(card, 'ready', 'Complete', /every byte/);

    h.assertQuiet(seen, server);
    await context.close();
  });

  test('a server that takes no more at the moment is waited for', async (t) => {
    const server = await h.Server.start({ flags: ['--max-uploads', '1'] });
    t.after(() => server.kill());
    const [first, second] = await Promise.all([h.large, h.MiB].map((size, n) => h.randomFile(`turn-${n}.bin`, size)));
    const { page, context, seen } = await h.open(browser, server, { allow: h.refusal });
    const rate = await h.throttle(page);
    await page.setInputFiles('#stream-input', first);
    await h.until('some bytes', async () => await h.sent(page, first) > 0);
    await page.setInputFiles('#stream-input', second);
    await shows(h.card(page, second), 'waiting', 'The server is busy', /goes on by itself/);
    await h.lookAt(page, h.card(page, second));
    await rate(-1);
    for (const file of [first, second]) await h.waitState(h.card(page, file), 'ready');

    h.assertQuiet(seen, server);
    await context.close();
  });

  test('what is not taken says why', async () => {
    const { page, context, seen } = await h.open(browser, server, { allow: h.refusal });
    const outcome = page.locator('#avatar-outcome');
    const portrait = await h.picture();
    await page.setInputFiles('#avatar-input', portrait);
    await shows(outcome, 'rejected', 'Too many pixels', /1600 x 1200 pixels/);
    const torn = await h.randomFile('torn.jpg', 0);
    const small = await h.picture('small.jpg', '400x300');
    const whole = await readFile(small);
    await writeFile(torn, whole.subarray(0, whole.length / 2));
    await page.setInputFiles('#avatar-input', torn);
    await shows(outcome, 'rejected', 'Damaged picture', /picture is damaged/);
    await page.setInputFiles('#avatar-input', await h.textFile('letter.jpg', 'Dear reader. '.repeat(500)));
    await shows(outcome, 'rejected', 'Wrong type of file', /Accepted here/);
    await page.setInputFiles('#avatar-input', await h.randomFile('poster.png', 9 * h.MiB));
    await shows(outcome, 'rejected', 'Too large', /larger than the \d+ MiB allowed/);
    await h.lookAt(page, outcome);
    await page.setInputFiles('#avatar-input', small);
    await shows(outcome, 'ready', 'Your avatar is ready', /Before\s+400\s×\s300\spixels, [^]*After\s+512\s×\s512\spixels, [^]*to send/);

    const large = await h.emptyFile('large.bin', h.large + 1);
    const minutes = await h.textFile('minutes.mp4', 'not a video '.repeat(1000));
    await page.setInputFiles('#stream-input', [large, minutes]);
    await shows(h.card(page, large), 'rejected', 'Too large', /larger than the \d+ MiB allowed/);
    await shows(h.card(page, minutes), 'rejected', 'Wrong type of file', /Accepted here/);

    // A verdict on the headers, as the status tells it.
    const film = await h.bigVideo('broken.mp4', h.MiB);
    await page.route('**/videos/*/status', async (route) => {
      const status = await (await route.fetch()).json();
      await route.fulfill({ json: { ...status, state: 'rejected', reason: { code: 'unreadable_video', message: 'The headers make no sense.' } } });
    });
    await page.setInputFiles('#stream-input', film);
    await shows(h.card(page, film), 'rejected', 'Damaged video', /headers make no sense/);

    // A file that is no longer what was chosen.
    const letter = await h.randomFile('letter.bin', h.large);
    await h.throttle(page);
    await page.setInputFiles('#stream-input', letter);
    await h.until('some bytes', async () => await h.sent(page, letter) > 0);
    await press(h.card(page, letter), /^Pause/);
    await appendFile(letter, 'PS');
    await press(h.card(page, letter), /^Resume/);
    await shows(h.card(page, letter), 'rejected', 'The file has changed', /Choose it again/);

    await h.lookAt(page, h.card(page, letter)); // and at all of the above

    seen.console = seen.console.filter((text) => !/ERR_UPLOAD_FILE_CHANGED/.test(text));
    h.assertQuiet(seen, server);
    await context.close();
  });

  test('a full disk and a restart stop an upload, not for ever', async (t) => {
    const file = await h.randomFile('patient.bin', 2 * h.MiB);
    const server = await h.Server.start({ flags: ['--reserve', '1000TiB'] });
    t.after(() => server.kill());
    const { page, context, seen } = await h.open(browser, server,
      { allow: new RegExp(`${h.refusal.source}|${h.deadServer.source}|status of 507`) });
    await page.setInputFiles('#stream-input', file);
    const card = h.card(page, file);
    await shows(card, 'failed', 'The server’s disk is full', /no room/);
    await page.setInputFiles('#avatar-input', await h.picture());
    const outcome = page.locator('#avatar-outcome');
    await shows(outcome, 'failed', 'The server’s disk is full', /no room/);
    await h.lookAt(page, card);
    await server.kill();
    server.flags = [];
    await press(card, /^Try again/);
    await shows(card, 'waiting', 'The server cannot be reached', /goes on by itself/);
    await outcome.getByRole('button', { name: 'Try again' }).press('Enter');
    await shows(outcome, 'waiting', 'The server cannot be reached', /goes on by itself/);
    const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.id);
    await h.until('the focus', async () => /^(Try now|avatar-input)$/.test(await focused()));
    await h.lookAt(page, card);

    await server.start();
    await shows(card, 'ready', 'Complete', /every byte/);
    await shows(outcome, 'ready', 'Your avatar is ready', /without metadata/);
    assert.notEqual(await page.evaluate(() => document.activeElement.tagName), 'BODY', 'the focus has a place to be');

    // One that says that it stops, and does. That it is not there for a while is no news then.
    const second = await h.randomFile('restart.bin', h.large);
    const rate = await h.throttle(page);
    await page.setInputFiles('#stream-input', second);
    await h.until('some bytes', async () => await h.sent(page, second) > 0);
    server.term();
    await shows(h.card(page, second), 'waiting', 'The server is restarting', /Nothing is lost/);
    await server.kill();
    const unanswered = page.waitForEvent('requestfailed', (r) => r.url().endsWith('/status'));
    await press(h.card(page, second), /^Try now/);
    await unanswered;
    await shows(h.card(page, second), 'waiting', 'The server is restarting', /Nothing is lost/);
    await h.lookAt(page, h.card(page, second));
    await rate(-1);
    await server.start();
    await shows(h.card(page, second), 'ready', 'Complete', /every byte/);

    h.assertQuiet(seen, server);
    await context.close();
  });
});
