// Numbers in a person's words. Pure functions and one meter; nothing here touches the page.

const units = ['KiB', 'MiB', 'GiB', 'TiB'];

// bytes says a size. fixed keeps the decimals, so that a number that moves does not change its width at each step.
export function bytes(n, fixed = false, decimals = 1) {
  if (n < 1024) return n === 1 ? '1 byte' : `${n} bytes`;
  let unit = -1;
  // 1023.95 would be rounded to 1024.0 of the smaller unit.
  for (; n >= 1023.95 && unit < units.length - 1 || unit < 0; unit++) n /= 1024;
  const text = n.toFixed(decimals);
  return `${fixed ? text : Number(text)}\u00a0${units[unit]}`;
}

export function percent(part, whole) {
  // Never "100 %" before the last byte is there.
  return whole > 0 ? `${Math.floor(part / whole * 100)}\u00a0%` : '100\u00a0%';
}

export function timeLeft(seconds) {
  if (seconds < 5) return 'a few seconds left';
  if (seconds < 57) return `about ${Math.ceil(seconds / 5) * 5} seconds left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${count(minutes, 'minute')} left`;
  if (minutes < 48 * 60) {
    const rest = Math.round(minutes % 60 / 5) * 5; // an hour from now, single minutes are a guess
    const hours = Math.floor(minutes / 60) + (rest === 60 ? 1 : 0);
    return `about ${count(hours, 'hour')}${rest % 60 ? ` ${rest} minutes` : ''} left`;
  }
  return `about ${count(Math.round(minutes / 1440), 'day')} left`;
}

// duration says a time that has passed, in seconds.
export function duration(seconds) {
  if (seconds < 100) return count(Math.round(seconds), 'second');
  return count(Math.round(seconds / 60), 'minute');
}

// clock is the length of a film, as players write it.
export function clock(seconds) {
  const two = (n) => String(n).padStart(2, '0');
  const all = Math.round(seconds);
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function pixels(width, height) {
  return `${width}\u00a0×\u00a0${height}\u00a0pixels`;
}

export function ago(date, now = Date.now()) {
  const minutes = Math.floor((now - date) / 60000);
  if (!(minutes >= 1)) return 'just now'; // also a clock that was set back, or no date at all
  if (minutes < 60) return `${count(minutes, 'minute')} ago`;
  if (minutes < 48 * 60) return `${count(Math.round(minutes / 60), 'hour')} ago`;
  return `${count(Math.round(minutes / 1440), 'day')} ago`;
}

export function count(n, noun) {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

// Meter smooths the speed: each sample counts for as much as the time it took, and what is older than a few seconds fades.
export class Meter {
  #rate = 0;
  #time = 0;
  #loaded = 0;
  #age = 0;

  reset(loaded, now = performance.now()) {
    this.#rate = this.#age = 0;
    this.#time = now;
    this.#loaded = loaded;
  }

  add(loaded, now = performance.now()) {
    const seconds = (now - this.#time) / 1000;
    if (seconds < 0.25) return; // shorter ones measure the browser's timers
    const memory = 3; // seconds
    const weight = 1 - Math.exp(-seconds / memory);
    const sample = Math.max(0, loaded - this.#loaded) / seconds;
    this.#age += seconds;
    // While young, the plain mean of all there is: else it would begin at zero and creep up.
    this.#rate += (sample - this.#rate) * Math.max(weight, seconds / this.#age);
    this.#time = now;
    this.#loaded = loaded;
  }

  // rate is in bytes a second, 0 until it means something: the first second mostly fills the buffers of the network.
  get rate() {
    return this.#age >= 1 ? this.#rate : 0;
  }
}
