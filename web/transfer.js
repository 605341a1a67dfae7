// One file on its way to the server, and nothing of how it looks. It emits "change" whenever state, note, offset or result
// has changed, and "progress" when only offset has.
//
// The client moves the bytes; what becomes of an upload is decided here, from what the server says at <url>/status. Left to
// itself the client takes any odd answer to a HEAD for "gone" and starts again from byte 0. So it is given an endpoint (to
// create) or an address (to go on), never both, and no retries: after a failed try the state is asked, and only what is
// still receiving is tried again.
//
//   idle -> queued -> sending <-> waiting -> finishing -> ready | rejected
//   `-> elsewhere (another tab holds it)     failed (can be tried again), paused, cancelled from any of them

import { askStatus, terminate, troubleOf, Trouble } from './api.js';
import { find, fingerprint, forget, lockName, remember } from './earlier.js';
import { watch } from './events.js';
import { Meter } from './format.js';
import { Upload } from './vendor/tus.js';

// stallTimeout ends a try of which nothing was heard: a laptop that slept, a network that changed. Longer than the server
// may take to judge a file after its last byte.
const stallTimeout = 45_000;

// offlineTimeout is the same for a device that knows it is offline: a server on this very device may still answer.
const offlineTimeout = 4_000;

// Waits between tries, in milliseconds; the last one is for as long as it takes. The first is short: most cuts are brief.
const waits = [300, 1000, 2000, 4000, 8000];

// Between two questions for a verdict. The server tells by itself when there is one: this is for when that does not come through.
const polls = [2000, 4000, 8000];

// Between two questions for how far another tab is.
const glance = 1500;

// answerLate is how long the answer to the last bytes may take after the server has told everybody what became of them.
const answerLate = 1000;

export class Transfer extends EventTarget {
  state = 'idle';
  code = ''; // what brought the state about, where it has several causes: the server's codes, and a few of the page
  note = ''; // the server's sentence for a person, beside the state
  offset = 0; // sent, as far as is known here
  result = null; // the server's status once it is ready or rejected
  meter = new Meter();

  #url = null;
  #entry = null; // key in the store of earlier uploads
  #client = null;
  #sending = null; // ends what listens while a try runs
  #run = 0; // each try has a number; what an older one still has to say is not heard
  #tries = 0;
  #proved = -1; // the highest offset that the server has confirmed
  #release = null; // of the lock
  #leaving = new AbortController(); // ends the wait for a lock
  #wake = null; // ends the wait between two tries, or for a verdict
  #unwatch = null; // ends the listening for what the server tells
  #stall = 0;

  constructor(file, endpoint, { remembered = true } = {}) {
    super();
    this.file = file;
    this.endpoint = endpoint;
    this.remembered = remembered;
    this.metadata = { filename: file.name, filetype: file.type || 'application/octet-stream' };
  }

  get size() {
    return this.file.size;
  }

  get url() {
    return this.#url;
  }

  // prepare takes the lock of this file, so that two tabs do not interrupt each other for ever, and ends in "queued". The
  // lock is kept while paused: the upload still belongs to this tab.
  async prepare() {
    this.print = await fingerprint(this.file, this.endpoint);
    if (this.remembered) {
      this.#release = await hold(lockName(this.print), { ifAvailable: true });
      if (!this.#release) {
        this.#set('elsewhere');
        this.#watch();
        try {
          this.#release = await hold(lockName(this.print), { signal: this.#leaving.signal });
        } catch {
          return; // cancelled while waiting
        }
      }
      await this.#recall();
    }
    if (this.state === 'cancelled') return this.#letGo();
    this.#set('queued');
  }

  // go makes the first try, or the next one after a pause or a failure.
  async go() {
    this.#tries = 0;
    this.#set('sending');
    if (this.#url) return this.#recover(); // what another run of the page began: ask before sending anything
    this.#send();
  }

  pause() {
    this.#stop();
    this.#set('paused');
  }

  // queue puts a paused or failed one back in line.
  queue() {
    this.#set('queued');
  }

  // retryNow cuts the wait for the next try short.
  retryNow() {
    this.#wake?.();
  }

  // cancel stops and has the server delete what it holds. It throws Trouble when the server could not be told; the transfer
  // is then "failed" and cancel can be called again.
  async cancel() {
    const shared = this.state === 'elsewhere';
    this.#stop();
    this.#leaving.abort();
    if (!shared && this.#url) {
      try {
        await terminate(this.#url);
      } catch (trouble) {
        this.#set('failed', trouble.code, `${trouble.message} What it already has is still there.`);
        throw trouble;
      }
      await this.#forget();
    }
    this.#set('cancelled');
    this.#letGo();
  }

  async #recall() {
    const entry = await find(this.print);
    if (!entry) return;
    this.#entry = entry.urlStorageKey;
    this.#found(entry.uploadUrl);
  }

  // found has the server tell what becomes of the upload, from when its address is known until its end.
  #found(url) {
    if (url === this.#url) return;
    this.#unwatch?.();
    this.#url = url;
    this.#unwatch = watch(url, (name) => this.#hear(name));
  }

  // hear takes what the server tells by itself as a hint to ask: the status is the same for all who ask.
  async #hear(name) {
    if (name === 'created' || name === 'received') return; // while it runs, the client is told that too
    if (this.state === 'finishing') return this.#wake?.();
    if (!['sending', 'waiting', 'paused'].includes(this.state)) return;
    const run = this.#run;
    if (this.state === 'sending') await pauseFor(answerLate);
    if (run !== this.#run || this.state === 'finishing') return;
    const status = await askStatus(this.#url).catch(() => undefined);
    if (run !== this.#run || status === undefined) return;
    if (status === null) return this.#gone('gone');
    if (status.state !== 'receiving') this.#settle(status);
  }

  // watch follows the upload of another tab by asking the server, until this tab has the lock or gives up.
  async #watch() {
    while (this.state === 'elsewhere') {
      await this.#recall();
      const status = this.#url && await askStatus(this.#url).catch(() => null);
      if (this.state === 'elsewhere' && status) this.#reach(status.offset);
      await pauseFor(glance);
    }
  }

  #send() {
    const run = ++this.#run;
    const current = () => run === this.#run;
    const fail = (err) => current() && this.#recover(err);
    const alive = () => {
      clearTimeout(this.#stall);
      this.#stall = setTimeout(() => {
        if (!current()) return;
        this.#recover(new Trouble('Nothing has moved for a while.', 0));
      }, navigator.onLine ? stallTimeout : offlineTimeout);
    };
    this.#sending = new AbortController();
    addEventListener('offline', alive, { signal: this.#sending.signal });

    const client = this.#client = new Upload(this.file, {
      endpoint: this.#url ? null : this.endpoint,
      uploadUrl: this.#url,
      metadata: this.metadata,
      chunkSize: Infinity,
      retryDelays: null,
      storeFingerprintForResuming: false,
      // abort() is without effect while the client prepares: this stops a try that was given up before its request.
      onBeforeRequest: () => { if (!current()) throw new Error('given up'); },
      onUploadUrlAvailable: () => {
        if (!current() || this.#url) return;
        this.#found(client.url);
        client.options.endpoint = null;
        if (this.remembered) remember(this.print, this.file, this.metadata, client.url).then((key) => { this.#entry = key; });
      },
      onProgress: (sent) => {
        if (!current()) return;
        alive();
        if (this.state !== 'sending') this.meter.reset(sent);
        this.#set('sending');
        this.meter.add(sent);
        this.#reach(sent);
      },
      onSuccess: () => current() && this.#settle(),
      onError: fail,
    });
    this.meter.reset(this.offset);
    alive();
    client.start();
  }

  // recover finds out where the upload stands and goes on from there, for as long as it takes.
  async #recover(err = null) {
    // Read before the client is stopped: aborting a request that has ended takes its answer away.
    let trouble = err && (err instanceof Trouble ? err : troubleOf(err));
    this.#stop();
    const run = this.#run;
    const stale = () => run !== this.#run;

    if (trouble?.status === 0 && !await readable(this.file)) {
      if (!stale()) this.#refuse('changed', 'It has been changed or moved on this device since it was chosen. Choose it again.');
      return;
    }

    for (let waited = false; ; waited = true) {
      let there = false;
      if (this.#url) {
        try {
          const status = await askStatus(this.#url);
          if (stale()) return;
          if (!status) return this.#gone('gone');
          if (status.state !== 'receiving') return this.#settle(status);
          this.#prove(status.offset);
          there = true;
        } catch (failure) {
          if (stale()) return;
          // Who has said that it restarts is not there for a while.
          if (failure.status !== 0 || trouble?.code !== 'shutting_down') trouble = failure;
        }
      }
      if (trouble && !trouble.passing) return this.#end(trouble);
      if (there && (waited || this.#tries === 0)) {
        this.#tries++;
        return this.#send();
      }

      this.#set('waiting', ...whyWaiting(trouble));
      await this.#idle(waits[Math.min(this.#tries++, waits.length - 1)]);
      if (stale()) return;
      if (!this.#url) return this.#send();
    }
  }

  // settle ends the sending: every byte is there, or the server wants no more. It asks until there is a verdict.
  async #settle(status = null) {
    this.#stop();
    const run = this.#run;
    for (let turn = 0; ; turn++) {
      if (run !== this.#run) return;
      if (status?.state === 'ready' || status?.state === 'rejected') break;
      if (status?.state === 'receiving') return this.#recover(); // the client was told otherwise; the state is what counts
      if (status?.state === 'expired') return this.#gone('expired');
      this.#reach(this.size);
      this.#set('finishing');
      if (status) await this.#idle(polls[Math.min(turn, polls.length - 1)]);
      if (run !== this.#run) return;
      try {
        status = await askStatus(this.#url);
        if (!status && run === this.#run) return this.#gone('gone');
      } catch (trouble) {
        if (run !== this.#run) return;
        if (!trouble.passing) return this.#end(trouble);
        this.#set('finishing', '', 'Everything has arrived. Waiting for the server to say what it made of it.');
        await this.#idle(waits[Math.min(turn, waits.length - 1)]);
      }
    }

    this.result = status;
    if (status.state === 'rejected') {
      await this.#forget();
      return this.#refuse(status.reason?.code, status.reason?.message || 'The server does not take this file.');
    }
    this.offset = this.size;
    this.#set('ready');
    this.#letGo();
  }

  // end is for trouble that another try as it is would meet again. No room on the disk may be mended by the people there.
  #end({ status, code, message }) {
    if (status === 507) this.#fail('insufficient_storage', message);
    else this.#refuse(code, message);
  }

  #refuse(code, message) {
    this.#stop();
    this.#set('rejected', code, message);
    this.#letGo();
  }

  async #gone(code) {
    this.#stop();
    this.#unwatch?.();
    this.#url = this.#unwatch = null;
    this.#proved = -1;
    this.offset = 0;
    const run = this.#run;
    await this.#forget();
    if (run === this.#run) this.#fail(code);
  }

  #fail(code, message = '') {
    this.#stop();
    this.#set('failed', code, message);
  }

  // prove notes what the server says it has. That there is more than before is what makes another quick try worthwhile. What has
  // just arrived may not count yet: that what was sent is less than it seemed is for the client to find out.
  #prove(offset) {
    if (offset > this.#proved && this.#proved >= 0) this.#tries = 0;
    this.#proved = Math.max(this.#proved, offset);
    this.#reach(Math.max(offset, this.offset));
  }

  #reach(offset) {
    this.offset = offset;
    this.dispatchEvent(new Event('progress'));
  }

  #set(state, code = '', note = '') {
    if (state === this.state && code === this.code && note === this.note) return;
    Object.assign(this, { state, code, note });
    this.dispatchEvent(new Event('change'));
  }

  #stop() {
    this.#run++;
    clearTimeout(this.#stall);
    this.#sending?.abort();
    this.#client?.abort();
    this.#client = null;
    this.#wake?.();
  }

  async #forget() {
    const key = this.#entry;
    this.#entry = null;
    await forget(key);
  }

  // letGo is for the end: nothing of this upload is held or heard any more.
  #letGo() {
    this.#release?.();
    this.#unwatch?.();
    this.#release = this.#unwatch = null;
  }

  // idle waits, but not longer than until somebody presses the button, the server tells something or is there again, the network
  // is back or the page is looked at again.
  async #idle(milliseconds) {
    const done = new AbortController();
    await new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, milliseconds * (0.8 + 0.4 * Math.random())); // not all pages at once
      addEventListener('online', resolve, { signal: done.signal });
      addEventListener('contact', ({ detail: there }) => there && resolve(), { signal: done.signal });
      document.addEventListener('visibilitychange', resolve, { signal: done.signal });
    });
    done.abort();
    this.#wake = null;
  }
}

// whyWaiting is the code of a wait, and the server's sentence where the page has none of its own.
function whyWaiting(trouble) {
  if (!navigator.onLine) return ['offline'];
  if (!trouble || trouble.status === 0) return ['unreachable'];
  if (['shutting_down', 'busy'].includes(trouble.code)) return [trouble.code];
  return [trouble.code, `${trouble.message} Your upload goes on by itself.`];
}

function pauseFor(milliseconds) {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

// hold resolves with a function that lets the lock go, with null when it is not free and not to be waited for. Browsers
// without locks (and pages without a secure origin) go on without: then two tabs can get into each other's way.
function hold(name, options) {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    navigator.locks.request(name, options, (lock) => {
      if (!lock) return resolve(null);
      return new Promise((letGo) => { resolve(letGo); });
    }).catch(reject);
  });
}
