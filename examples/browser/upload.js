// A video, sent by tus-js-client: progress, pause, resume after a reload, and what the server made of it.

import { defaultOptions, Upload } from 'tus-js-client';

const endpoint = 'http://127.0.0.1:8080/videos/';

const $ = (id) => document.getElementById(id);

let upload = null;
let running = false;

$('file').addEventListener('change', async () => {
  const [file] = $('file').files;
  if (!file) return;
  await upload?.abort(); // what the server has of it stays there, to go on with
  upload = prepare(file);
  // A page cannot open a file again by itself. When the person chooses it once more, the client knows it by its name, size
  // and time, and remembers where its upload is.
  const [earlier] = await upload.findPreviousUploads();
  if (earlier) upload.resumeFromPreviousUpload(earlier);
  $('unfinished').hidden = true;
  $('result').replaceChildren();
  run();
});

$('pause').addEventListener('click', () => {
  if (!running) return run();
  upload.abort();
  stopped('Paused.', 'paused');
});

function prepare(file) {
  const mine = new Upload(file, {
    endpoint,
    metadata: { filename: file.name, filetype: file.type },
    removeFingerprintOnSuccess: true,
    // Between tries, in milliseconds. The client begins this list anew whenever some bytes went through.
    retryDelays: [500, 1000, 2000, 4000, 8000, 15000, 30000],
    // Without an endpoint the client fails when the server no longer has the upload (refused on its way, say). With one, it
    // would quietly send everything again.
    onUploadUrlAvailable: () => { mine.options.endpoint = null; },
    onProgress: (sent, size) => {
      $('sent').value = size ? sent / size : 1;
      say(`${mebibytes(sent)} of ${mebibytes(size)} MiB`);
    },
    onSuccess: () => finish(mine),
    onError: (err) => finish(mine, err),
  });
  return mine;
}

function run() {
  running = true;
  $('pause').disabled = false;
  $('pause').textContent = 'Pause';
  say('Connecting …');
  upload.start();
}

function stopped(text, state) {
  running = false;
  $('pause').textContent = 'Resume';
  say(text, state);
}

// finish asks for the state, which says more than the client's success or failure: a last answer can be lost on its way.
async function finish(mine, err) {
  const status = mine.url ? await verdict(mine.url) : {};
  if (mine !== upload) return; // another file was chosen meanwhile
  if (status.state === 'ready') {
    show(new URL(status.content, mine.url));
  } else if (status.state === 'rejected') {
    $('sent').value = 0;
    say(status.reason.message, 'rejected');
    await forget(mine.url);
  } else if (err?.originalResponse?.getStatus() === 404 || err?.originalResponse?.getStatus() === 410) {
    say('The server no longer has this upload. Choose the file again to begin anew.', 'stopped');
  } else {
    return stopped(`The upload has stopped: ${sentence(err)}`, 'stopped');
  }
  running = false;
  $('pause').disabled = true;
}

// verdict is the status once there is one, or {} when the server cannot be asked.
async function verdict(url) {
  for (;; await new Promise((resolve) => { setTimeout(resolve, 500); })) {
    try {
      const status = await (await fetch(`${url}/status`)).json();
      if (status.state !== 'received') return status;
    } catch {
      return {};
    }
    say('All bytes are safe. Waiting for the verdict …');
  }
}

// forget keeps a refused upload from being offered as unfinished.
async function forget(url) {
  for (const { uploadUrl, urlStorageKey } of await defaultOptions.urlStorage.findAllUploads()) {
    if (uploadUrl === url) await defaultOptions.urlStorage.removeUpload(urlStorageKey);
  }
}

function show(url) {
  say('Ready.', 'ready');
  $('sent').value = 1;
  const video = document.createElement('video');
  video.controls = true;
  video.src = url;
  $('result').replaceChildren(video);
}

// sentence is the server's own where it gave one (problem+json).
function sentence(err) {
  try {
    return JSON.parse(err.originalResponse.getBody()).detail;
  } catch {
    return 'the server cannot be reached.';
  }
}

function say(text, state = '') {
  $('line').textContent = text;
  $('line').dataset.state = state;
}

function mebibytes(bytes) {
  return (bytes / 2 ** 20).toFixed(1);
}

// What an earlier visit left unfinished.
const unfinished = await defaultOptions.urlStorage.findAllUploads();
if (unfinished.length > 0) {
  const names = unfinished.map(({ metadata }) => metadata.filename).join(', ');
  $('unfinished').textContent = `Unfinished: ${names}. Choose it again to go on where it stopped.`;
  $('unfinished').hidden = false;
}
