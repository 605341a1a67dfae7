// Uploads a file in three parts at once with the real tus-js-client, otherwise like tusjs.mjs: node parallel.mjs ENDPOINT FILE URLS

import { createReadStream } from 'node:fs';
import { FileUrlStorage, Upload } from 'tus-js-client';

const [endpoint, file, urls] = process.argv.slice(2);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const upload = new Upload(createReadStream(file), {
  endpoint,
  urlStorage: new FileUrlStorage(urls),
  parallelUploads: 3,
  metadata: { filename: 'content.bin' },
  metadataForPartialUploads: { filename: 'part.bin' },
  retryDelays: [50, 100, 200, 400, 800, 1600, 3200, 6400],
  onShouldRetry: (err) => {
    tell({ retry: err.originalResponse?.getStatus() ?? 0 });
    return true;
  },
  onError: (err) => {
    tell({ error: String(err) });
    process.exitCode = 1;
  },
  onSuccess: () => tell({ url: upload.url }),
});

const previous = await upload.findPreviousUploads();
if (previous.length > 0) upload.resumeFromPreviousUpload(previous[0]);
tell({ previous: previous.length });
upload.start();
