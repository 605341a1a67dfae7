// The little that the views share. Text goes in as text, never as markup: the policy of the page refuses the latter anyway.

export const $ = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((child) => child != null));
  return node;
}

// sign is one of the drawings that the page brings along.
export function sign(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.classList.add('sign');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(document.createElementNS(svg.namespaceURI, 'use'));
  svg.firstChild.setAttribute('href', `#sign-${name}`);
  return svg;
}

// announce tells what has changed to somebody who does not see it. Progress is not announced: it would never end.
export function announce(text) {
  const live = $('live');
  live.textContent = live.textContent === text ? `${text}\u00a0` : text; // the same words twice are otherwise not read out
}

// dropTarget hands over the files that are dropped on an element and shows that it would take them.
export function dropTarget(node, take) {
  let depth = 0; // enter and leave also fire for the children
  const shown = () => node.classList.toggle('over', depth > 0);
  node.addEventListener('dragenter', () => { depth++; shown(); });
  node.addEventListener('dragleave', () => { depth--; shown(); });
  node.addEventListener('drop', (event) => {
    event.preventDefault();
    depth = 0;
    shown();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const folders = entries.filter((entry) => entry?.isDirectory).map((entry) => entry.name);
    take([...event.dataTransfer.files].filter((file) => !folders.includes(file.name)), folders);
  });
}

// linkRow shows an address that can be opened, selected and copied.
export function linkRow(path, name) {
  const url = new URL(path, location.href).href;
  const link = el('a', { href: url, textContent: path, className: 'url' });
  const copy = el('button', { type: 'button', textContent: 'Copy link', ariaLabel: `Copy link to ${name}` });
  copy.addEventListener('click', async () => {
    const copied = await copyText(url, link);
    copy.textContent = copied ? 'Copied' : 'Selected';
    announce(copied ? 'Link copied.' : 'Link selected. Press Control C to copy it.');
    setTimeout(() => { copy.textContent = 'Copy link'; }, 2500);
  });
  return el('div', { className: 'link-row' }, link, copy);
}

// The clipboard is there only on a secure origin; elsewhere the text is selected, ready to be copied by hand.
async function copyText(text, node) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    node.textContent = text;
    getSelection().selectAllChildren(node);
    return false;
  }
}

// Buttons keeps a row of buttons in step with what can be done. A button whose slot stays is the same element, so that the
// focus stays where it was when "Pause" becomes "Resume".
export class Buttons {
  #slots = new Map();
  #owed = false; // the focus: there was no button to give it to

  // about is the name of the thing, so that "Pause" alone is not all that is read out.
  constructor(node, about) {
    Object.assign(this, { node, about });
  }

  show(wanted) {
    this.#owed &&= document.activeElement === document.body; // somebody has gone elsewhere with it
    const hadFocus = this.#owed || this.node.contains(document.activeElement);
    for (const [slot, button] of this.#slots) {
      if (wanted.some((w) => w.slot === slot)) continue;
      button.remove();
      this.#slots.delete(slot);
    }
    let next = null; // a button that is in its place is not moved: that would take its focus, or the click on it
    for (const { slot, label, run, kind = '' } of wanted.reverse()) {
      let button = this.#slots.get(slot);
      if (!button) {
        button = el('button', { type: 'button' });
        this.#slots.set(slot, button);
      }
      if (button.textContent !== label) button.textContent = label;
      Object.assign(button, { ariaLabel: `${label} ${this.about}`, className: kind, onclick: run });
      if (button.parentNode !== this.node || next && button.nextSibling !== next) this.node.insertBefore(button, next);
      next = button;
    }
    if (hadFocus && !this.node.contains(document.activeElement)) this.focus();
  }

  // focus goes to the first button, or to the next one that comes. Nobody is taken back to where they have scrolled away from.
  focus() {
    const first = this.node.querySelector('button');
    first?.focus({ preventScroll: true });
    this.#owed = !first;
  }

  // ask puts a question in place of the row and resolves with the answer. What is safe has the focus.
  ask(question, yes, no) {
    const before = [...this.node.children];
    const asked = before.find((button) => button === document.activeElement) || before[0];
    return new Promise((resolve) => {
      const answer = (value) => {
        this.node.replaceChildren(...before);
        asked?.focus();
        this.asking = false;
        resolve(value);
      };
      const button = (label, value, kind) =>
        el('button', { type: 'button', textContent: label, className: kind, ariaLabel: `${label} ${this.about}`, onclick: () => answer(value) });
      const keep = button(no, false, '');
      const box = el('div', { className: 'question', role: 'group', ariaLabel: question },
        el('p', { textContent: question }), button(yes, true, 'danger'), keep);
      box.addEventListener('keydown', (event) => event.key === 'Escape' && answer(false));
      this.asking = true;
      this.node.replaceChildren(box);
      keep.focus();
    });
  }
}
