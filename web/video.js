// A video that plays from the server by ranges: the browser asks for the parts that it shows, seeking included.

import { el, linkRow } from './dom.js';
import { clock, pixels } from './format.js';

// Names as people write them; what is not here is shown in capitals.
const names = {
  quicktime: 'QuickTime', webm: 'WebM', matroska: 'Matroska', h264: 'H.264', hevc: 'H.265', vorbis: 'Vorbis', opus: 'Opus', mpeg4: 'MPEG-4',
};

export function isVideo(status) {
  return (status.mediaType || '').startsWith('video/');
}

// headers says what the server read from the headers, in one line.
function headers({ container, duration, width, height, codecs, fastStart }) {
  const name = (word) => names[word] || word.toUpperCase();
  return [
    container && name(container),
    duration && clock(duration),
    width && pixels(width, height),
    codecs?.map(name).join(' and '),
    fastStart === true && 'plays while it loads',
    fastStart === false && 'its index is at the end',
  ].filter(Boolean).join(' · ');
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

  if (status.video) box.append(el('p', { className: 'headers', textContent: headers(status.video) }));
  box.append(linkRow(status.content, name));
  return box;
}
