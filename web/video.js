// A video that plays from the server by ranges: the browser asks for the parts that it shows, seeking included.

import { el, linkRow } from './dom.js';

export function isVideo(status) {
  return (status.mediaType || '').startsWith('video/');
}

// player returns the video with its link. What this browser cannot decode is offered as a download in its place.
export function player(status, name) {
  const video = el('video', { controls: true, preload: 'metadata', playsInline: true, src: status.content, ariaLabel: name });
  const box = el('div', { className: 'player' }, video);

  const giveUp = () => {
    video.removeAttribute('src');
    video.load(); // lets the connection go
    const download = el('a',
      { href: status.content, download: name, textContent: 'Download', className: 'button', ariaLabel: `Download ${name}` });
    video.replaceWith(el('div', { className: 'unplayable' },
      el('p', { textContent: 'The video is safe, but this browser cannot play its format.' }), download));
  };
  video.addEventListener('error', () => video.hasAttribute('src') && giveUp());
  // A sound track that can be decoded under a picture that cannot (HEVC in many browsers) is no error to the element.
  video.addEventListener('loadedmetadata', () => video.videoWidth === 0 && giveUp());

  box.append(linkRow(status.content, name));
  return box;
}
