// A picture in SVG: axes, and points that can be reached by pointer and by arrow keys.

const tip = document.getElementById('tip');
const said = document.getElementById('said');

function showTip(number, box, x, y) {
  tip.replaceChildren(...trialWords(number));
  tip.hidden = false;
  const [left, top] = [box.left + x, box.top + y];
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(left + 14, room)) + window.scrollX}px`;
  const below = top + 16 + tip.offsetHeight < window.innerHeight;
  tip.style.top = `${(below ? top + 16 : Math.max(4, top - tip.offsetHeight - 12)) + window.scrollY}px`;
}

function hideTip() {
  tip.hidden = true;
}

// The trial under the pointer stands out in every picture.
function light(number) {
  for (const lit of document.querySelectorAll('svg .lit')) lit.classList.remove('lit');
  if (number === null) return;
  for (const one of document.querySelectorAll(`svg [data-trial="${number}"]`)) one.classList.add('lit');
}

// An axis: {scale(range), label, title}; `draw(plot)` puts marks into plot.marks and names, in
// plot.points, what can be reached: {x, y, trial}, and lines between them: {from, to}.
function figure({ id, label, caption, height = 360, axes, draw, table, legend }) {
  const holder = h('div', { class: 'plot', id: `${id}-plot` });
  const note = h('figcaption', null, caption || '');
  const whole = h('figure', { id }, legend || null, holder, note, table ? behind(table) : null);
  let last = 0;
  function redraw() {
    last = holder.clientWidth;
    const width = Math.max(280, last || 900);
    const tall = width < 560 ? Math.min(height, 300) : height;
    const svg = frame({ label, axes: axes(), draw, width, height: tall, note });
    holder.replaceChildren(svg);
  }
  new ResizeObserver(() => {
    if (holder.clientWidth && holder.clientWidth !== last) redraw();
  }).observe(holder);
  whole.redraw = redraw;
  return whole;
}

function frame({ label, axes, draw, width, height, note }) {
  const [right, top, bottom] = [width - 14, 14, height - 44];
  const y = axes.y.scale([bottom, top], height < 250 ? 4 : 5);
  const left = 32 + 7.2 * Math.max(2, ...y.ticks.map(({ text }) => text.length)); // the title stands beside the longest
  const x = axes.x.scale([left, right], width < 560 ? 4 : 7);
  const grid = s('g', { class: 'grid' });
  for (const { value, text } of y.ticks) {
    const at = y.place(value);
    grid.append(s('line', { x1: left, x2: right, y1: at, y2: at }), s('text', { x: left - 8, y: at + 4, 'text-anchor': 'end' }, text));
  }
  for (const { value, text } of x.ticks) {
    const at = x.place(value);
    grid.append(s('line', { x1: at, x2: at, y1: bottom, y2: bottom + 4 }), s('text', { x: at, y: bottom + 18, 'text-anchor': 'middle' }, text));
  }
  const marks = s('g', { class: 'marks' });
  const svg = s('svg', { viewBox: `0 0 ${width} ${height}`, width, height, class: 'chart', tabindex: 0, role: 'img', 'aria-label': label },
    grid,
    s('line', { class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom }),
    s('text', { class: 'title', x: (left + right) / 2, y: height - 8, 'text-anchor': 'middle' }, axes.x.title),
    s('text', { class: 'title', transform: `translate(13 ${(top + bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, axes.y.title),
    marks);
  const plot = { marks, x, y, left, right, top, bottom, points: [], lines: [], note };
  draw(plot);
  reach(svg, plot);
  return svg;
}

function reach(svg, plot) {
  let active = -1;
  const stops = [...new Map(plot.points.map((point) => [point.trial, point])).values()];
  function show(point, aloud) {
    light(point.trial);
    const box = svg.getBoundingClientRect();
    showTip(point.trial, box, point.x, point.y);
    if (aloud) said.textContent = tip.textContent;
  }
  function leave() {
    hideTip();
    light(null);
  }
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect();
    const found = nearest(plot, event.clientX - box.left, event.clientY - box.top);
    svg.classList.toggle('over', Boolean(found));
    if (found) show(found, false);
    else leave();
  });
  svg.addEventListener('pointerleave', leave);
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect();
    const found = nearest(plot, event.clientX - box.left, event.clientY - box.top);
    if (found && event.pointerType !== 'touch') openTrial(found.trial);
  });
  svg.addEventListener('blur', leave);
  svg.addEventListener('keydown', (event) => {
    const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key in moves && stops.length) {
      active = (active + moves[event.key] + stops.length) % stops.length;
      show(stops[active], true);
      event.preventDefault();
    } else if (event.key === 'Enter' && active >= 0) {
      event.preventDefault(); // or the button that gets the focus is pressed as well
      openTrial(stops[active].trial);
    }
    if (event.key === 'Escape') leave();
  });
}

// The point, or the line between two, that is nearest and not far.
function nearest(plot, x, y) {
  let [found, best] = [null, 22];
  for (const point of plot.points) {
    const far = Math.hypot(point.x - x, point.y - y);
    if (far < best) [found, best] = [point, far];
  }
  if (best < 8) return found;
  for (const { from, to } of plot.lines) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const along = Math.max(0, Math.min(1, ((x - from.x) * dx + (y - from.y) * dy) / (dx * dx + dy * dy || 1)));
    const far = 4 + Math.hypot(from.x + along * dx - x, from.y + along * dy - y);
    if (far < best) [found, best] = [{ x, y, trial: to.trial }, far];
  }
  return found;
}

// Marks tell states apart by their shape, not by colour alone.
function mark(trial, x, y, more = {}) {
  const size = more.size || 5;
  const own = { 'data-trial': trial.number, class: `mark ${trial.kind} ${more.class || ''}`, style: more.style };
  if (trial.kind === 'failed') {
    return s('path', { ...own, d: `M${x - size} ${y - size}L${x + size} ${y + size}M${x + size} ${y - size}L${x - size} ${y + size}` });
  }
  if (trial.kind === 'broken') return s('rect', { ...own, x: x - size + 0.5, y: y - size + 0.5, width: 2 * size - 1, height: 2 * size - 1 });
  if (trial.kind === 'running' || trial.kind === 'waiting') {
    return s('path', { ...own, d: `M${x - size} ${y - size}L${x + size} ${y}L${x - size} ${y + size}Z` });
  }
  return s('circle', { ...own, cx: x, cy: y, r: size });
}

function legendOf(all) {
  const kinds = all.filter(([kind]) => kind !== 'best' || byNumber.has(study.best));
  return h('p', { class: 'legend', 'aria-hidden': 'true' }, kinds.map(([kind, text]) =>
    h('span', null, s('svg', { width: 26, height: 14 }, kindSample(kind)), text)));
}

function kindSample(kind) {
  if (kind === 'base') return s('line', { class: 'base', x1: 2, x2: 24, y1: 7, y2: 7 });
  if (kind === 'best') return [s('path', { class: 'run best', d: 'M2 7H24' }), s('circle', { class: 'mark completed best', cx: 20, cy: 7, r: 5 })];
  if (kind === 'parked') return [s('path', { class: 'run parked', d: 'M2 7H16' }), s('circle', { class: 'mark parked', cx: 19, cy: 7, r: 4 })];
  return mark({ kind }, 13, 7, { size: 4.5 });
}
