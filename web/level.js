// The picture of the contrast, live: how many bytes have flowed, and how the memory of the server stands meanwhile. The numbers
// come once a second, and that is how often anything is drawn, however fast the bytes are.

import { span, Plot } from './chart.js';
import { $ } from './dom.js';
import { bytes, duration } from './format.js';

const MiB = 1 << 20;

// The speed is that of this time, in seconds: one alone jumps about.
const speedOver = 3;

// Below this difference memory is said to have stayed where it is: a thousandth of what large files bring along.
const still = 16 * MiB;

// The sentence is for reading: it does not change with every number. In seconds.
const sentenceEvery = 5;

const points = []; // of { at, received, memory }: at in seconds of this page, received since it was opened
let before = null; // the newest numbers as the server gave them
let received = 0;
let spokenAt = -Infinity;
let spokenOfFlow = false;
let plots;

export function setUp() {
  const words = (n) => n === 0 ? '0' : bytes(n, false, 2);
  plots = {
    received: new Plot($('plot-received'), { words, least: MiB, rising: true }),
    memory: new Plot($('plot-memory'), { words, least: 32 * MiB }),
  };
  addEventListener('level', ({ detail }) => {
    $('contrast').hidden = !detail;
    if (detail) add(detail);
  });
  addEventListener('contact', ({ detail: there }) => {
    state(there ? 'live' : 'lost');
    if (!there) {
      for (const id of ['level-speed', 'level-active']) put(id, '–'); // of which the last ones say nothing any more
      say('No contact with the server. The curves go on when it answers again.');
    }
    spokenAt = -Infinity;
  });
}

function add({ residentBytes, receivedBytes, receiving }) {
  const now = performance.now() / 1000;
  // The server counts since its start: a smaller number is that of a new one.
  const more = before === null ? 0 : receivedBytes - (receivedBytes < before ? 0 : before);
  before = receivedBytes;
  received += more;
  points.push({ at: now, received, memory: residentBytes });
  while (points[0].at < now - span) points.shift();

  state('live');
  put('level-received', bytes(received, true));
  put('level-total', `${bytes(receivedBytes, true)} since server start`);
  put('level-speed', `${bytes(speed(now), true)}/s`);
  put('level-active', String(receiving));
  put('level-memory', bytes(residentBytes, true));
  for (const key of ['received', 'memory']) plots[key].show(points.map((p) => ({ at: p.at, value: p[key] })), now);
  const flowed = received - points[0].received;
  if (now - spokenAt < sentenceEvery && spokenOfFlow === flowed > 0) return;
  spokenAt = now;
  spokenOfFlow = flowed > 0;
  say(sentence(flowed, now - points[0].at));
}

function speed(now) {
  const last = points.at(-1);
  const first = points.find((p) => p.at >= now - speedOver - 0.5);
  return last.at > first.at ? Math.round((last.received - first.received) / (last.at - first.at)) : 0;
}

function sentence(flowed, seconds) {
  const memory = points.map((p) => p.memory);
  const [least, most] = [Math.min(...memory), Math.max(...memory)];
  const range = bytes(least) === bytes(most) ? `at ${bytes(most)}` : `between ${bytes(least)} and ${bytes(most)}`;
  const level = `the server’s memory ${most - least < still ? 'stayed' : 'was'} ${range}`;
  if (received === 0) return 'Send a large file and watch: the upper curve climbs, the level of the memory stays where it is.';
  if (flowed === 0) return `Nothing has flowed lately; ${level}.`;
  return `In the last ${duration(Math.max(1, seconds))}, ${bytes(flowed)} flowed through; ${level}.`;
}

function put(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function say(text) {
  put('level-words', text);
}

function state(name) {
  $('contrast').dataset.state = name;
}
