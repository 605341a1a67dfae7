// The lane of large files: what is chosen or dropped is queued, sent two at a time, and found again after a reload.

import { askStatus, terminate } from './api.js';
import { blank, Card, removeCard } from './card.js';
import { $, announce, dropTarget, el } from './dom.js';
import * as earlier from './earlier.js';
import { ago, bytes, count, percent } from './format.js';
import { Transfer } from './transfer.js';
import { isVideo } from './video.js';

// More at once would share one line and only make each of them slower to finish.
const atOnce = 2;

const running = ['sending', 'waiting', 'finishing'];

// Of the earlier uploads the newest are listed: each is a question to the server.
const atMost = 20;

// For files whose type the browser does not know. The server judges by content; this only chooses whom to ask.
const videoNames = /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|ogv|3gp|m2ts|wmv|flv)$/i;

const cards = [];

export function transfers() {
  return cards.map((card) => card.transfer);
}

export function setUp() {
  const input = $('stream-input');
  input.addEventListener('change', () => {
    take([...input.files]);
    input.value = ''; // the same file can be chosen again
  });
  dropTarget($('stream-drop'), take);
  listEarlier();
  // Another tab began, finished or forgot an upload.
  addEventListener('storage', (event) => event.key?.startsWith('tus::') && listEarlier());
}

async function take(files, folders = []) {
  problem(folders.length ? `${count(folders.length, 'folder')} left out: only files can be uploaded.` : '');
  for (const file of files) {
    const endpoint = endpointOf(file.type, file.name);
    const print = await earlier.fingerprint(file, endpoint);
    const same = cards.find((card) => card.transfer.print === print);
    if (same && ['rejected', 'ready'].includes(same.transfer.state)) remove(same);
    else if (same) {
      problem(`${file.name} is in the list already.`);
      continue;
    }
    add(file, endpoint, print);
  }
}

function add(file, endpoint, print) {
  const transfer = new Transfer(file, endpoint);
  transfer.print = print;
  const card = new Card(transfer, remove);
  cards.push(card);
  $('uploads').append(card.card);
  transfer.addEventListener('change', pump);
  transfer.prepare();
  listEarlier();
  return card;
}

// pump starts those whose turn it is, in their order.
function pump() {
  let room = atOnce - transfers().filter((t) => running.includes(t.state)).length;
  for (const transfer of transfers()) {
    if (room > 0 && transfer.state === 'queued') {
      room--;
      transfer.go();
    }
  }
  dispatchEvent(new Event('transfers'));
}

function remove(card) {
  cards.splice(cards.indexOf(card), 1);
  removeCard(card.card, $('stream-input'));
  if (card.transfer.state === 'cancelled') announce(`${card.name} cancelled.`);
  pump();
  listEarlier();
}

function endpointOf(type, name) {
  const video = type ? type.startsWith('video/') : videoNames.test(name);
  return new URL(video ? 'videos/' : 'files/', document.baseURI).href;
}

function problem(text) {
  $('stream-problem').textContent = text;
  $('stream-problem').hidden = !text;
}

// Earlier uploads: what this browser remembers, held against what the server says. One listing at a time counts.
let listing = 0;

async function listEarlier() {
  const mine = ++listing;
  const held = await earlier.heldLocks();
  const here = new Set(transfers().map((t) => t.print));
  const entries = (await earlier.all()).filter((entry) => !here.has(earlier.printOf(entry.urlStorageKey))).slice(0, atMost);
  const items = await Promise.all(entries.map((entry) => item(entry, held.has(earlier.lockName(earlier.printOf(entry.urlStorageKey))))));
  if (mine !== listing) return;
  const focused = document.activeElement.closest('#earlier-list .card')?.dataset.key;
  $('earlier-list').replaceChildren(...items);
  $('earlier').hidden = items.length === 0;
  if (focused) (items.find((card) => card.dataset.key === focused)?.querySelector('button, a, input') || $('stream-input')).focus();
}

async function item(entry, held) {
  const name = entry.metadata?.filename || 'A file without a name';
  const view = blank(name);
  view.card.dataset.key = entry.urlStorageKey;
  const since = ago(Date.parse(entry.creationTime));
  view.figures.textContent = bytes(entry.size);
  const drop = () => {
    earlier.forget(entry.urlStorageKey);
    removeCard(view.card, $('stream-input'));
    $('earlier').hidden = !$('earlier-list').firstChild;
  };
  const forget = { slot: 'forget', label: 'Take off the list', kind: 'quiet', run: drop };
  const again = { slot: 'again', label: 'Ask again', run: listEarlier };
  const say = (state, code, line) => {
    view.look(state, code, line);
    view.fill.hidden = state !== 'partial';
  };

  let status;
  try {
    status = await askStatus(entry.uploadUrl);
  } catch (trouble) {
    say('waiting', ...(trouble.status === 0 ? ['unreachable', 'Ask again when it is back.'] : [trouble.code, trouble.message]));
    view.buttons.show([again]);
    return view.card;
  }

  if (!status || ['rejected', 'expired'].includes(status.state)) {
    // Said once; the next visit does not bring it up again.
    earlier.forget(entry.urlStorageKey);
    if (status?.state === 'rejected') say('rejected', status.reason?.code, status.reason?.message);
    else say('failed', status ? 'expired' : 'gone', 'Choose the file once more above, and it is sent from the beginning.');
    view.buttons.show([{ ...forget, label: 'Dismiss' }]);
  } else if (status.state === 'ready') {
    say('ready', '', `Begun ${since}.`);
    view.buttons.show([{ slot: 'show', label: isVideo(status) ? 'Play' : 'Show link', run: () => {
      view.deliver(status);
      view.buttons.show([forget]);
    } }, forget]);
  } else if (status.state === 'received') {
    say('finishing');
    view.buttons.show([again]);
  } else if (held) {
    say('elsewhere', '', 'Close that tab, and it can be gone on with here.');
  } else {
    view.figures.textContent = `${bytes(status.offset)} of ${bytes(entry.size)} · ${percent(status.offset, entry.size)}`;
    view.fill.value = entry.size ? status.offset / entry.size : 0;
    say('partial', '', `Begun ${since}. Choose the same file again, and it goes on from here.`);
    view.card.querySelector('.actions').append(chooser(entry, name, view));
    view.buttons.show([{ slot: 'forget', label: 'Discard', kind: 'quiet', run: () => discard(entry, view, status, drop) }]);
  }
  return view.card;
}

// A page cannot open a file by itself, so the person chooses it once more. Another file is not taken for it.
function chooser(entry, name, view) {
  const input = el('input', { type: 'file', className: 'unseen', ariaLabel: `Choose the file to go on with ${name}` });
  const label = el('label', { className: 'button' }, input, 'Choose the file');
  input.addEventListener('change', async () => {
    const [file] = input.files;
    input.value = '';
    if (!file) return;
    const print = earlier.printOf(entry.urlStorageKey);
    const endpoint = endpointOf(file.type, file.name);
    if (await earlier.fingerprint(file, endpoint) !== print) {
      const why = file.name === name && file.size === entry.size ? 'was changed since' : `is ${file.name}, ${bytes(file.size)}`;
      view.line.textContent = `That is not the same file: it ${why}. This upload is of ${name}, ${bytes(entry.size)}.`;
      announce(view.line.textContent);
      return;
    }
    input.blur(); // it goes away with its card
    add(file, endpoint, print).buttons.focus();
  });
  return label;
}

async function discard(entry, view, status, drop) {
  const question = `Delete the ${bytes(status.offset)} that are on the server?`;
  if (status.offset > 0 && !await view.buttons.ask(question, 'Delete', 'Keep')) return;
  try {
    await terminate(entry.uploadUrl);
    drop();
  } catch (trouble) {
    view.line.textContent = trouble.message;
    announce(trouble.message);
  }
}
