// A card of the list: one file, its progress as a level that rises from left to right, and what can be done with it.

import { $, announce, Buttons, linkRow } from './dom.js';
import { bytes, percent, timeLeft } from './format.js';
import { lookOf } from './looks.js';
import { isVideo, player } from './video.js';

// In milliseconds: often enough to look alive, seldom enough to be read, and no work to speak of however fast the bytes are.
const refresh = 500;

export function blank(name) {
  const card = $('card-template').content.cloneNode(true).firstElementChild;
  const part = (selector) => card.querySelector(selector);
  part('.name').textContent = name;
  part('.fill').ariaLabel = `${name}: sent`;
  return {
    card,
    fill: part('.fill'),
    figures: part('.figures'),
    line: part('.line'),
    // look shows a state: its sign, its tone, its title and the line below. It returns the latter two, to be read out.
    look(state, code, note) {
      const { sign, tone, title, line } = lookOf(state, code, note);
      Object.assign(card.dataset, { state, tone });
      part('.sign use').setAttribute('href', `#sign-${sign}`);
      part('.title').textContent = title;
      part('.line').textContent = line;
      return `${title}. ${line}`;
    },
    buttons: new Buttons(part('.actions'), name),
    deliver(status) {
      part('.result').append(isVideo(status) ? player(status, name) : linkRow(status.content, name));
      part('.result').hidden = false;
    },
  };
}

export class Card {
  #timer = 0;
  #said = '';

  // removed is called with the card when it is to go.
  constructor(transfer, removed) {
    this.transfer = transfer;
    this.removed = removed;
    this.name = transfer.file.name;
    Object.assign(this, blank(this.name));
    transfer.addEventListener('change', () => this.#update());
    transfer.addEventListener('progress', () => {
      this.#timer ||= setTimeout(() => { this.#timer = 0; this.#progress(); }, refresh);
    });
    this.#update();
  }

  #update() {
    const { state, code, note, result } = this.transfer;
    if (state === 'cancelled') return this.removed(this);
    const said = this.look(state, code, note);
    this.#progress();
    if (!this.buttons.asking) this.buttons.show(this.#actions());

    if (said !== this.#said && state !== 'idle' && state !== 'queued') {
      announce(`${this.name}: ${state === 'sending' ? 'Sending.' : said}`);
    }
    this.#said = said;
    if (state === 'ready') this.deliver(result);
  }

  #progress() {
    const { state, offset, size, meter } = this.transfer;
    this.fill.hidden = ['ready', 'rejected', 'failed'].includes(state);
    this.fill.value = size > 0 ? offset / size : 1;
    this.figures.textContent = this.fill.hidden || offset === 0
      ? bytes(size)
      : `${bytes(offset, true)} of ${bytes(size)} · ${percent(offset, size)}`;
    if (state === 'sending') {
      this.line.textContent = offset < size && meter.rate > 0
        ? `${bytes(Math.round(meter.rate), true)}/s · ${timeLeft((size - offset) / meter.rate)}`
        : offset >= size && size > 0 ? 'Sent. Waiting for the server’s answer.' : 'Connecting';
    }
  }

  #actions() {
    const transfer = this.transfer;
    const cancel = { slot: 'cancel', label: 'Cancel', kind: 'quiet', run: () => this.#cancel() };
    const pause = { slot: 'main', label: 'Pause', run: () => transfer.pause() };
    const dismiss = (label) => ({ slot: 'cancel', label, kind: 'quiet', run: () => this.removed(this) });
    switch (transfer.state) {
      case 'queued': case 'sending': return [pause, cancel];
      case 'waiting': return [pause, { slot: 'now', label: 'Try now', run: () => transfer.retryNow() }, cancel];
      case 'paused': return [{ slot: 'main', label: 'Resume', run: () => transfer.queue() }, cancel];
      case 'failed': {
        const anew = ['expired', 'gone'].includes(transfer.code);
        return [{ slot: 'main', label: anew ? 'Start again' : 'Try again', run: () => transfer.queue() }, anew ? dismiss('Dismiss') : cancel];
      }
      case 'elsewhere': return [{ slot: 'cancel', label: 'Leave it to the other tab', kind: 'quiet', run: () => transfer.cancel() }];
      case 'ready': return [dismiss('Done')];
      case 'rejected': return [dismiss('Dismiss')];
      default: return [];
    }
  }

  async #cancel() {
    const there = this.transfer.offset;
    if (there > 0 && this.transfer.url && !await this.buttons.ask(`Delete the ${bytes(there)} that have been sent?`, 'Delete', 'Keep going')) {
      return this.#update(); // it may have moved on while the question stood
    }
    try {
      await this.transfer.cancel();
    } catch {
      // The card says so.
    }
  }
}

// A list has a name and no content of its own: what follows a removed card gets the focus, else the way to add another.
export function removeCard(card, fallback) {
  const hadFocus = card.contains(document.activeElement);
  const next = card.nextElementSibling || card.previousElementSibling;
  card.remove();
  if (hadFocus) (next?.querySelector('button, a, input') || fallback).focus();
}

