// A plot of numbers over the last two minutes: the newest on the right, zero or a round number at the bottom. Its labels are HTML
// beside a picture that is stretched, so that they are of one size on every screen.

// span is how much is shown, in seconds.
export const span = 120;

// gap is the time without a number, in seconds, over which no line is drawn: nothing is known of it.
const gap = 4;

const height = 100; // of the picture, in its own units; its width is span

export class Plot {
  #top = 0;

  // words puts a number on the axis. least is the smallest difference that fills the height; rising tells that the axis need not
  // begin at zero.
  constructor(node, { words, least, rising = false }) {
    const part = (selector) => node.querySelector(selector);
    Object.assign(this, { words, least, rising, line: part('.line-of'), area: part('.area-of'), ticks: node.querySelectorAll('.tick') });
  }

  // show draws points, of { at, value } in order; now and at are in seconds.
  show(points, now) {
    if (points.length === 0) return;
    const [low, high] = this.#axis(points.map((point) => point.value));
    const x = (point) => (span - (now - point.at)).toFixed(2);
    const y = (point) => (height - (point.value - low) / (high - low) * height).toFixed(2);

    let line = '';
    let area = '';
    let before = null;
    for (const point of points) {
      const joined = before && point.at - before.at < gap;
      line += `${joined ? 'L' : 'M'}${x(point)} ${y(point)}`;
      if (before && !joined) area += `V${height}Z`;
      area += joined ? `L${x(point)} ${y(point)}` : `M${x(point)} ${height}V${y(point)}`;
      before = point;
    }
    this.line.setAttribute('d', line);
    this.area.setAttribute('d', `${area}V${height}Z`);
    [high, (low + high) / 2, low].forEach((value, i) => {
      const text = this.words(value);
      if (this.ticks[i].textContent !== text) this.ticks[i].textContent = text;
    });
  }

  // axis finds where it begins and ends: at round numbers, with some air above. It grows at once, and shrinks only when there is
  // room for twice as much, so that a still line is not moved by its scale.
  #axis(values) {
    const most = Math.max(...values);
    if (!this.rising) {
      const fitting = powerOfTwo(Math.max(most * 1.25, this.least));
      this.#top = fitting > this.#top || fitting * 2 < this.#top ? fitting : this.#top;
      return [0, this.#top];
    }
    const fewest = Math.min(...values);
    // A thirty-second of the number itself can still be read off labels of two decimals.
    const step = powerOfTwo(Math.max(most - fewest, this.least, most / 32) * 1.05) / 4;
    const low = Math.floor(fewest / step) * step;
    let steps = 4;
    while (low + steps * step < most) steps++;
    return [low, low + steps * step];
  }
}

function powerOfTwo(n) {
  return 2 ** Math.ceil(Math.log2(n));
}
