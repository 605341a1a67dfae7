// The page's first module: joins the two lanes and what concerns both.

import { maxBytes } from './api.js';
import * as avatar from './avatar.js';
import * as events from './events.js';
import { bytes, percent } from './format.js';
import * as level from './level.js';
import * as stream from './stream.js';

level.setUp();
avatar.setUp();
stream.setUp();
events.listen();
limits();

// A file dropped beside the targets must not replace the page, and with it every upload that runs.
for (const type of ['dragover', 'drop']) {
  addEventListener(type, (event) => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  });
}

// The water moves while bytes do; the title tells how far they are when another tab is in front.
addEventListener('transfers', title);
setInterval(title, 1000);

function title() {
  const moving = stream.transfers().filter((t) => ['sending', 'waiting', 'finishing'].includes(t.state));
  const sum = (key) => moving.reduce((total, t) => total + t[key], 0);
  document.title = moving.length ? `${percent(sum('offset'), sum('size'))} · Sluice` : 'Sluice';
  document.querySelector('.stream').classList.toggle('flowing', moving.some((t) => t.state === 'sending'));
}

// The limits are the server's to set; the words in the page are its defaults.
async function limits() {
  for (const node of document.querySelectorAll('[data-limit]')) {
    const max = await maxBytes(new URL(node.dataset.limit, document.baseURI).href);
    if (max) node.textContent = bytes(max);
  }
}
