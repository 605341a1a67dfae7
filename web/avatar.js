// The lane of pictures: sent, judged and answered in one go. The variants are shown as the server made them.

import { $, announce, dropTarget, el, linkRow, sign } from './dom.js';
import { bytes, count, percent, pixels } from './format.js';
import { lookOf } from './looks.js';
import { Transfer } from './transfer.js';

let transfer = null;
let previewUrl = '';
let begunAt = 0; // in milliseconds of this page
let sentAt = 0; // when the last byte was on its way

export function setUp() {
  const input = $('avatar-input');
  input.addEventListener('change', () => {
    if (input.files[0]) send(input.files[0]);
    input.value = '';
  });
  dropTarget($('avatar-drop'), ([file]) => file && send(file));
}

function send(file) {
  if (transfer && !['ready', 'rejected'].includes(transfer.state)) transfer.cancel().catch(() => {}); // the newer choice counts
  preview(file);
  begunAt = performance.now();
  sentAt = 0;
  const mine = transfer = new Transfer(file, new URL('avatars/', document.baseURI).href, { remembered: false });
  const changed = () => mine === transfer && show(mine);
  mine.addEventListener('change', () => {
    if (mine === transfer && mine.state === 'queued') mine.go();
    changed();
  });
  mine.addEventListener('progress', changed);
  mine.prepare();
}

// preview shows the file before a byte is sent. What is no picture keeps the drawing.
function preview(file) {
  URL.revokeObjectURL(previewUrl);
  previewUrl = URL.createObjectURL(file);
  const img = el('img', { alt: '', src: previewUrl });
  const box = $('avatar-preview');
  img.addEventListener('load', () => {
    box.querySelector('img')?.remove();
    box.append(img);
  });
  img.addEventListener('error', () => box.querySelector('img')?.remove());
}

let said = '';

function show(t) {
  const outcome = $('avatar-outcome');
  outcome.hidden = false;
  sentAt ||= t.offset >= t.size && performance.now();
  const shown = `${t.state} ${t.code} ${t.note}`;
  if (outcome.shown === shown) {
    const bar = outcome.querySelector('progress');
    if (bar) bar.value = t.size ? t.offset / t.size : 1;
    return;
  }
  outcome.shown = shown;
  const { sign: drawing, tone, title, line } = lookOf(t.state, t.code, t.note);
  Object.assign(outcome.dataset, { state: t.state, tone });
  $('avatar-call').textContent = t.state === 'ready' ? 'Choose another picture' : 'Choose a picture';

  const moving = !['ready', 'rejected', 'failed'].includes(t.state);
  const words = t.state === 'ready'
    ? ['Your avatar is ready', done(t.result)]
    : [title, t.state === 'sending' ? 'On its way.' : line];
  const hadFocus = outcome.contains(document.activeElement); // which goes with what is replaced
  outcome.replaceChildren(
    el('p', { className: 'name', textContent: t.file.name }),
    moving ? bar(t) : '',
    el('div', { className: 'foot' }, sign(drawing), el('div', { className: 'say' },
      el('p', { className: 'title', textContent: words[0] }), el('p', { className: 'line', textContent: words[1] }))));
  if (t.state === 'ready') outcome.append(ready(t));
  if (t.state === 'failed') outcome.append(el('button', { type: 'button', textContent: 'Try again', onclick: () => t.queue() }));
  if (t.state === 'waiting') outcome.append(el('button', { type: 'button', textContent: 'Try now', onclick: () => t.retryNow() }));
  if (hadFocus) (outcome.querySelector('button, a') || $('avatar-input')).focus({ preventScroll: true });

  const text = words.join('. ');
  if (text !== said) announce(text);
  said = text;
}

function bar(t) {
  return el('progress', { max: 1, value: t.size ? t.offset / t.size : 1, ariaLabel: `${t.file.name}: sent` });
}

function ready(t) {
  const variants = [...t.result.variants].sort((a, b) => b.width - a.width);
  const figures = variants.map((v) => {
    const img = el('img', { src: v.url, width: v.width, height: v.height, alt: `Your avatar, ${v.width} pixels square` });
    const link = el('a', { href: v.url }, img);
    return el('figure', { className: `size-${v.width}` }, link,
      el('figcaption', {}, el('span', { textContent: `${v.width} px` }), el('span', { textContent: bytes(v.bytes) })));
  });
  return el('div', { className: 'done' },
    el('div', { className: 'variants' }, ...figures), account(t, variants), linkRow(variants[0]?.url || t.result.content, 'your avatar'));
}

// done says what was done to this picture, as far as it is known here.
function done({ variants }) {
  const { naturalWidth: width, naturalHeight: height } = original() || {};
  return width === height
    ? `In ${count(variants.length, 'square size')}, without metadata.`
    : `Cropped to a square, in ${count(variants.length, 'size')}, without metadata.`;
}

// original is the chosen picture as this browser shows it, null if it cannot.
function original() {
  const picture = $('avatar-preview').querySelector('img');
  return picture?.src === previewUrl ? picture : null;
}

// account says what was done to the picture, in numbers.
function account(t, variants) {
  const picture = original();
  const sides = picture ? `${pixels(picture.naturalWidth, picture.naturalHeight)}, ` : '';
  const rows = [['Before', `${sides}${bytes(t.size)}`]];
  if (variants.length) {
    const largest = variants[0].bytes;
    const less = largest < t.size ? `, ${percent(t.size - largest, t.size)} less to load` : '';
    rows.push(['After', `${pixels(variants[0].width, variants[0].height)}, ${bytes(largest)}${less}`]);
  }
  rows.push(['Took', `${seconds(sentAt - begunAt)} to send, ${seconds(performance.now() - sentAt)} to make the sizes`]);
  return el('dl', { className: 'account' }, ...rows.flatMap(([name, text]) =>
    [el('dt', { textContent: name }), el('dd', { textContent: text })]));
}

function seconds(milliseconds) {
  return milliseconds < 100 ? 'under 0.1\u00a0s' : `${(milliseconds / 1000).toFixed(1)}\u00a0s`;
}
