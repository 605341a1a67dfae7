// The lane of pictures: sent, judged and answered in one go. The variants are shown as the server made them.

import { $, announce, dropTarget, el, linkRow } from './dom.js';
import { bytes } from './format.js';
import { Transfer } from './transfer.js';

let transfer = null;
let previewUrl = '';

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
  if (outcome.dataset.state === t.state && outcome.note === t.note) {
    const bar = outcome.querySelector('progress');
    if (bar) bar.value = t.size ? t.offset / t.size : 1;
    return;
  }
  outcome.dataset.state = t.state;
  outcome.note = t.note;
  $('avatar-call').textContent = t.state === 'ready' ? 'Choose another picture' : 'Choose a picture';

  const name = el('p', { className: 'name', textContent: t.file.name });
  const text = t.note || { ready: 'Avatar ready.', finishing: 'The server is looking at it.' }[t.state] || 'Sending';
  switch (t.state) {
    case 'ready':
      outcome.replaceChildren(ready(t.result));
      break;
    case 'rejected':
    case 'failed':
      outcome.replaceChildren(name, el('p', { className: 'line', textContent: t.note }));
      if (t.state === 'failed') outcome.append(el('button', { type: 'button', textContent: 'Try again', onclick: () => t.queue() }));
      break;
    default:
      outcome.replaceChildren(name, bar(t), el('p', { className: 'line', textContent: text }));
  }
  if (text !== said) announce(text);
  said = text;
}

function bar(t) {
  return el('progress', { max: 1, value: t.size ? t.offset / t.size : 1, ariaLabel: `${t.file.name}: sent` });
}

function ready(status) {
  const variants = [...status.variants].sort((a, b) => b.width - a.width);
  const figures = variants.map((v) => {
    const img = el('img', { src: v.url, width: v.width, height: v.height, alt: `Your avatar, ${v.width} pixels square` });
    const link = el('a', { href: v.url }, img);
    return el('figure', { className: `size-${v.width}` }, link,
      el('figcaption', {}, el('span', { textContent: `${v.width} px` }), el('span', { textContent: bytes(v.bytes) })));
  });
  return el('div', { className: 'done' },
    el('div', { className: 'variants' }, ...figures),
    el('p', { className: 'line', textContent: 'Cropped to a square, turned upright, without metadata.' }),
    linkRow(variants[0]?.url || status.content, 'your avatar'));
}
