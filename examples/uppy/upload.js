// Uppy's Dashboard on Sluice: its Tus plugin sends the bytes, a postprocessor waits for what the server made of them.

import Uppy from '@uppy/core';
import Dashboard from '@uppy/dashboard';
import Tus from '@uppy/tus';
import '@uppy/core/css/style.min.css';
import '@uppy/dashboard/css/style.min.css';

const endpoint = 'http://127.0.0.1:8080/videos/';

const uppy = new Uppy({
  // What the profile at this endpoint takes, said before a byte is sent. The server goes by the content, not by names.
  restrictions: { maxFileSize: 64 * 2 ** 30, allowedFileTypes: ['video/*'] },
})
  .use(Dashboard, {
    target: '#uppy',
    inline: true,
    width: '100%',
    theme: 'auto',
    note: 'Videos, up to 64 GiB each',
    proudlyDisplayPoweredByUppy: false,
  })
  .use(Tus, {
    endpoint,
    removeFingerprintOnSuccess: true,
    retryDelays: [500, 1000, 2000, 4000, 8000, 15000, 30000],
    // Without an endpoint the client fails when the server no longer has the upload (refused on its way, say). With one, it
    // would quietly send everything again. `this` are the options of this one upload.
    onUploadUrlAvailable() { this.endpoint = null; },
  });

// verdict is the status once there is one.
async function verdict(url) {
  for (;; await new Promise((resolve) => { setTimeout(resolve, 500); })) {
    const answer = await fetch(`${url}/status`).catch(() => null);
    if (!answer || answer.status >= 500) continue; // no answer is no verdict
    const status = await answer.json();
    if (status.state !== 'received') return status;
  }
}

// All bytes are safe: wait for the state.
uppy.addPostProcessor(async (ids) => {
  await Promise.all(uppy.getFilesByIds(ids).filter((file) => file.uploadURL && !file.error).map(async (file) => {
    uppy.emit('postprocess-progress', file, { mode: 'indeterminate', message: 'Waiting for the verdict' });
    const status = await verdict(file.uploadURL);
    if (status.state !== 'ready') uppy.emit('upload-error', file, new Error(status.reason?.message ?? status.detail));
    uppy.emit('postprocess-complete', uppy.getFile(file.id));
  }));
});

// A refusal, on the way or afterwards: the status has the reason, also when the answer did not get through.
uppy.on('upload-error', async (file) => {
  const url = uppy.getFile(file.id)?.tus?.uploadUrl;
  const status = url && await verdict(url);
  if (status?.state !== 'rejected') return;
  uppy.setFileState(file.id, { error: status.reason.message });
  uppy.info(`${file.name} was refused. ${status.reason.message}`, 'error', 10_000);
});
