// usage: node upload.js FILE [ENDPOINT]
// Sends a file, however large, by stream. Killed and run again, it goes on where it was.

import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { FileUrlStorage, Upload } from 'tus-js-client';

const [file, endpoint = 'http://127.0.0.1:8080/files/'] = process.argv.slice(2);
if (!file) throw new Error('usage: node upload.js FILE [ENDPOINT]');

let shown = -1;

const upload = new Upload(createReadStream(file), {
  endpoint,
  metadata: { filename: basename(file) },
  // Addresses of unfinished uploads. A file is known by its path, size and time of change.
  urlStorage: new FileUrlStorage('.unfinished-uploads.json'),
  removeFingerprintOnSuccess: true,
  // Between tries, in milliseconds. The client begins this list anew whenever some bytes went through.
  retryDelays: [500, 1000, 2000, 4000, 8000, 15000, 30000],
  // Without an endpoint the client fails when the server no longer has the upload (refused on its way, say). With one, it
  // would quietly send everything again.
  onUploadUrlAvailable: () => { upload.options.endpoint = null; },
  onProgress: (sent, size) => {
    const percent = Math.floor(100 * sent / size);
    if (percent > shown) console.error(`${shown = percent} %`);
  },
  onSuccess: ({ lastResponse }) => {
    console.error(`all bytes are safe; Sluice-State: ${lastResponse.getHeader('Sluice-State')}`);
    finish();
  },
  onError: finish,
});

// finish asks for the state, which says more than the client's success or failure: a last answer can be lost on its way.
async function finish(err) {
  const status = upload.url ? await verdict(upload.url, !err) : {};
  if (status.state === 'ready') {
    console.log(new URL(status.content, upload.url).href);
    return;
  }
  console.error(status.state === 'rejected' ? `rejected: ${status.reason.message}` : `stopped: ${err ?? JSON.stringify(status)}`);
  process.exitCode = 1;
}

// verdict is the status once there is one. When the server cannot be asked, it waits for it or gives {}.
async function verdict(url, wait) {
  for (;; await pause(500)) {
    try {
      const status = await (await fetch(`${url}/status`)).json();
      if (status.state !== 'received') return status;
    } catch {
      if (!wait) return {};
    }
  }
}

const [earlier] = await upload.findPreviousUploads();
if (earlier) {
  console.error(`going on with ${earlier.uploadUrl}`);
  upload.resumeFromPreviousUpload(earlier);
}
upload.start();
