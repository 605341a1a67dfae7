// What the page asks the server beside the uploads themselves, and how its answers become sentences.

// Trouble is an answer, or the lack of one, that says nothing about the upload itself. status is 0 when nothing came back, code
// the server's own name for what is wrong, "" when it gave none.
export class Trouble extends Error {
  constructor(message, status, code = '') {
    super(message);
    Object.assign(this, { status, code });
  }

  // passing tells whether it may be gone by the next try. The rest of the 4xx stays as it is.
  get passing() {
    return this.status === 0 || this.status >= 500 && this.status !== 507 || [408, 409, 423, 425, 429].includes(this.status);
  }
}

// askStatus returns what the server knows of an upload, null when it knows none, and throws Trouble for anything else.
export async function askStatus(url) {
  const res = await send(`${url}/status`, { cache: 'no-store' });
  if (res.status === 404 || res.status === 410) return null;
  if (!res.ok) throw told(res.status, await res.text());
  try {
    return await res.json();
  } catch {
    // Cut in the middle, or a proxy's page in place of the answer.
    throw new Trouble('The server gave an answer that makes no sense.', 0);
  }
}

// terminate has the server delete what it holds. That there is nothing any more is as good.
export async function terminate(url) {
  const res = await send(url, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } });
  if (!res.ok && res.status !== 404 && res.status !== 410) {
    throw told(res.status, await res.text());
  }
}

// maxBytes is the largest upload that an endpoint takes, undefined when it does not say.
export async function maxBytes(endpoint) {
  try {
    const res = await fetch(endpoint, { method: 'OPTIONS', headers: { 'Tus-Resumable': '1.0.0' } });
    return Number(res.headers.get('Tus-Max-Size')) || undefined;
  } catch {
    return undefined;
  }
}

// A connection that is dead without saying so would be waited for for minutes.
const patience = 15_000;

async function send(url, init) {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(patience) });
  } catch {
    throw new Trouble('The server cannot be reached.', 0);
  }
}

// troubleOf turns an error of the upload client into Trouble: the server's own sentence where there is one.
export function troubleOf(err) {
  const res = err.originalResponse;
  if (!res) return new Trouble('The connection was lost.', 0);
  return told(res.getStatus(), res.getBody());
}

// told makes Trouble of an answer: a problem document of the server, or whatever a proxy on the way has put in its place.
function told(status, body) {
  try {
    const { detail, title, code } = JSON.parse(body);
    const text = detail || title;
    if (typeof text === 'string' && text) return new Trouble(text, status, String(code || ''));
  } catch {
    // No problem document.
  }
  if (status === 413) return new Trouble('The file is larger than the server takes.', status, 'too_large');
  return new Trouble(status >= 500 ? `The server had a problem (${status}).` : `The server refused this (${status}).`, status);
}
