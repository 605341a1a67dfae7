// What the server tells by itself: one stream of server-sent events for the whole page. It says how the level stands ("level" on
// window, with the numbers, or null where the server keeps them back) and when an upload that is watched has changed.
//
// Over HTTP/1.1 a browser has six connections to an origin for all of its tabs, and the uploads need theirs. So a tab that nobody
// looks at has no stream, and a page that has nothing to hear has none either. Whoever watches must be able to do without.

// Uploads that are named within this time, in milliseconds, are named in one stream.
const gathering = 150;

// The server takes no more names than that.
const atMost = 100;

// Waits before a lost stream is asked for again, in milliseconds.
const waits = [500, 1000, 2000, 4000, 8000, 15_000];

// The level comes with the opening of a stream. Where it has not come by then, it is switched off.
const levelLate = 1500;

const quiet = 'sluice:no-level'; // remembered, so that the next visit does not make room for what will not come

const watched = new Map(); // path of an upload -> what is called when it has changed
let source = null;
let lastId = ''; // of the last change that was heard: nothing after it is missed
let tries = 0;
let lost = false;
let timer = 0;
let late = 0;

export function listen() {
  document.addEventListener('visibilitychange', open);
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => event.persisted && open());
  addEventListener('online', () => source || open());
  if (levelIsOff()) tell('level', null);
  open();
}

// watch has changed called, with what happened ("ready", "rejected", ..., "" for anything), until the function that it returns
// is called.
export function watch(url, changed) {
  const { pathname } = new URL(url);
  watched.set(pathname, changed);
  again(gathering);
  return () => watched.delete(pathname); // the stream that names it is not worth a new one
}

function again(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(open, milliseconds);
}

function close() {
  clearTimeout(timer);
  clearTimeout(late);
  source?.close();
  source = null;
}

function open() {
  close();
  if (document.hidden || levelIsOff() && watched.size === 0) return;
  const url = new URL('events', document.baseURI);
  for (const path of [...watched.keys()].slice(-atMost)) url.searchParams.append('upload', path);
  if (lastId) url.searchParams.set('lastEventId', lastId);

  const mine = source = new EventSource(url);
  const on = (name, act) => mine.addEventListener(name, (event) => mine === source && act(event));
  const knewNothing = !lastId;
  on('open', () => {
    if (knewNothing) everybody(); // what happened before it opened is not told
    tries = 0;
    late = setTimeout(() => level(null), levelLate);
    contact(true);
  });
  on('error', () => {
    close();
    contact(false);
    again(waits[Math.min(tries++, waits.length - 1)] * (0.8 + 0.4 * Math.random())); // not all pages at once
  });
  on('level', ({ data }) => level(JSON.parse(data)));
  on('reset', (event) => { lastId = event.lastEventId; everybody(); });
  for (const name of ['created', 'received', 'ready', 'rejected', 'expired', 'terminated']) {
    on(`upload.${name}`, (event) => hear(name, event));
  }
}

function hear(name, event) {
  lastId = event.lastEventId;
  const id = JSON.parse(event.data).data.id;
  for (const [path, changed] of [...watched]) {
    if (path.endsWith(`/${id}`)) changed(name);
  }
}

function everybody() {
  for (const changed of [...watched.values()]) changed('');
}

function level(numbers) {
  clearTimeout(late);
  try {
    if (numbers) sessionStorage.removeItem(quiet);
    else sessionStorage.setItem(quiet, '1');
  } catch {
    // Without storage it is found out anew each time.
  }
  tell('level', numbers);
  if (!numbers && watched.size === 0) close();
}

function levelIsOff() {
  try {
    return sessionStorage.getItem(quiet) !== null;
  } catch {
    return false;
  }
}

// contact is told when it is lost and when it is back; uploads that wait take the latter for their sign.
function contact(there) {
  if (lost === !there) return;
  lost = !there;
  tell('contact', there);
}

function tell(name, detail) {
  dispatchEvent(new CustomEvent(name, { detail }));
}
