// The uploads that this browser remembers, in the store and the form of the upload client: other tus pages of the same
// origin can read them, and we theirs. We write it ourselves, since the client forgets an upload on any 4xx to a HEAD.

import { defaultOptions } from './vendor/tus.js';

const store = defaultOptions.urlStorage;

// A page cannot keep a file. It keeps what tells one file from another; the default of the upload client.
export function fingerprint(file, endpoint) {
  return defaultOptions.fingerprint(file, { endpoint });
}

// find returns the newest upload remembered under a fingerprint, or undefined.
export async function find(print) {
  return (await store.findUploadsByFingerprint(print)).filter(ours).sort(newestFirst)[0];
}

export async function all() {
  return (await store.findAllUploads()).filter(ours).sort(newestFirst);
}

export async function remember(print, file, metadata, url) {
  try {
    const entry = { size: file.size, metadata, creationTime: new Date().toString(), uploadUrl: url };
    return await store.addUpload(print, entry);
  } catch {
    return null; // storage full or forbidden: the upload itself does not need it
  }
}

export async function forget(key) {
  if (key) await store.removeUpload(key);
}

// printOf is the fingerprint within a key of the store: "tus::<fingerprint>::<number>".
export function printOf(key) {
  return key.slice('tus::'.length, key.lastIndexOf('::'));
}

export function lockName(print) {
  return `sluice:${print}`;
}

// heldLocks returns the names of the locks that some tab holds, this one included.
export async function heldLocks() {
  if (!navigator.locks) return new Set();
  const { held } = await navigator.locks.query();
  return new Set(held.map((lock) => lock.name));
}

// Another origin's address would only run into the page's security policy.
function ours(entry) {
  try {
    return new URL(entry.uploadUrl).origin === location.origin && entry.urlStorageKey.startsWith('tus::');
  } catch {
    return false;
  }
}

function newestFirst(a, b) {
  return Date.parse(b.creationTime) - Date.parse(a.creationTime) || 0;
}
