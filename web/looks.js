// How each state of an upload looks and what it is called, in one table: the sign beside it, the tone of its card, a title and a
// line below. Of a state with several causes each has its own row, "state code"; the server's sentence takes the place of the line.

const again = 'Your upload goes on by itself';

const table = {
  idle: ['clock', 'still', 'Getting ready', 'Looking at the file.'],
  queued: ['clock', 'still', 'Waiting for its turn', 'It starts when another one is done.'],
  sending: ['flow', 'moving', 'Sending', 'Connecting'],
  finishing: ['clock', 'moving', 'Arrived', 'All of it has arrived. The server is looking at it.'],
  paused: ['pause', 'still', 'Your upload is paused', 'What has arrived stays on the server.'],
  elsewhere: ['tabs', 'aside', 'Another tab has this upload', 'It runs in another tab of this browser. If that tab is closed, it goes on here.'],
  ready: ['check', 'good', 'Complete', 'Stored, every byte of it.'],
  partial: ['pause', 'still', 'Not finished yet', ''],

  waiting: ['cut', 'warn', 'Your upload was interrupted', `${again}.`],
  'waiting offline': ['offline', 'warn', 'You are offline', `${again} when the network is back.`],
  'waiting unreachable': ['cut', 'warn', 'The server cannot be reached', `${again} when it answers again.`],
  'waiting shutting_down': ['again', 'warn', 'The server is restarting', `Nothing is lost. ${again} in a moment.`],
  'waiting busy': ['busy', 'warn', 'The server is busy', `It takes as many uploads as it can. ${again} when there is room.`],

  failed: ['cut', 'bad', 'This did not work', ''],
  'failed insufficient_storage': ['disk', 'bad', 'The server’s disk is full', ''],
  'failed expired': ['hourglass', 'warn', 'This upload has expired',
    'It was left unfinished for too long, so the server has deleted it. Start again to send the file from the beginning.'],
  'failed gone': ['gone', 'warn', 'The server no longer has this upload',
    'It was cancelled, or deleted on the server. Start again to send the file from the beginning.'],

  rejected: ['stop', 'bad', 'This file was not taken', ''],
  'rejected unsupported_media_type': ['stop', 'bad', 'Wrong type of file', ''],
  'rejected too_large': ['large', 'bad', 'Too large', ''],
  'rejected too_many_pixels': ['large', 'bad', 'Too many pixels', ''],
  'rejected unreadable_image': ['broken', 'bad', 'Damaged picture', ''],
  'rejected unreadable_video': ['broken', 'bad', 'Damaged video', ''],
  'rejected changed': ['broken', 'bad', 'The file has changed', ''],
};

// lookOf finds the row of a state with a code, else that of the state alone.
export function lookOf(state, code = '', note = '') {
  const [sign, tone, title, line] = table[`${state} ${code}`] || table[state];
  return { sign, tone, title, line: note || line };
}
