// Early signals against the end; of what has not ended, the band that the predictor expects.

const SIGNALS = [
  ['eval', 'early evaluation', false],
  ['loss', 'training loss of the window', false],
  ['norm', 'gradient norm', true],
  ['free', 'noise-free gradient norm', true],
];

function signalPicture([key, title, isLog], others) {
  const value = (trial) => (others ? trial.looks[0]?.others?.[key] : trial.looks[0]?.[key]);
  const shown = originals.filter((trial) => isNumber(value(trial)) && isNumber(trial.end) && (!isLog || value(trial) > 0));
  if (shown.length < 2) return null;
  const xs = shown.map(value);
  const bands = shown.filter((trial) => !isNumber(trial.objective));
  const ends = shown.filter((trial) => isNumber(trial.objective)).map((trial) => trial.objective);
  const domain = focused([...ends, ...bands.map((trial) => trial.band[1])], study.higher);
  const small = shown.length > 200;
  return figure({
    id: `signal-${key}`,
    label: `${title} at the first look against the end, ${counted(shown.length, 'trial')}`,
    height: 260,
    axes: () => ({
      x: { title, scale: (range, n) => (isLog ? logarithmic(logExtent(xs), range, n) : linear(extent(xs, 0.06), range, Math.min(n, 5))) },
      y: { title: study.metric, scale: (range, n) => linear(domain, range, n) },
    }),
    draw(plot) {
      const clip = (y) => Math.max(plot.top, Math.min(plot.bottom, y));
      plot.marks.style.setProperty('--faint', Math.max(0.1, Math.min(0.6, 30 / shown.length)));
      const isCrowded = bands.length > 150;
      if (isCrowded) plot.marks.classList.add('crowded');
      if (isCrowded) plot.marks.append(bandArea(bands, value, plot, clip));
      for (const trial of [...bands, ...shown.filter((trial) => isNumber(trial.objective))].sort((a, b) => Number(a.isBest) - Number(b.isBest))) {
        const [x, y] = [plot.x.place(value(trial)), clip(plot.y.place(trial.end))];
        if (!isNumber(trial.objective) && !isCrowded) {
          plot.marks.append(s('line', { class: 'band', 'data-trial': trial.number, x1: x, x2: x, y1: clip(plot.y.place(trial.band[0])), y2: clip(plot.y.place(trial.band[2])) }));
        }
        plot.marks.append(mark(trial, x, y, { size: small ? 2.5 : 4.5, class: trial.isBest ? 'best' : '' }));
        plot.points.push({ x, y, trial: trial.number });
      }
    },
  });
}

// Of many: the middle of their lines along the axis, as one shape.
function bandArea(bands, value, plot, clip) {
  const sorted = [...bands].sort((a, b) => value(a) - value(b));
  const size = Math.ceil(sorted.length / 24);
  const places = Array.from({ length: Math.ceil(sorted.length / size) }, (_, i) => sorted.slice(i * size, (i + 1) * size));
  const side = (edge) => places.map((own) => [plot.x.place(quantile(own.map(value), 0.5)), clip(plot.y.place(quantile(own.map((trial) => trial.band[edge]), 0.5)))]);
  const outline = [...side(0), ...side(2).reverse()].map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
  return s('path', { class: 'band-area', d: `M${outline.join('L')}Z` });
}

function signalsPart() {
  const names = [...new Set(originals.flatMap((trial) => Object.keys(trial.looks[0]?.others || {})))];
  const pictures = [...SIGNALS.map((signal) => signalPicture(signal, false)), ...names.map((name) => signalPicture([name, `early ${name}`, false], true))].filter(Boolean);
  if (!pictures.length) return null;
  const hasBands = originals.some((trial) => trial.band);
  const columns = [...SIGNALS.map(([, title]) => title), ...names];
  const row = (trial) => [...SIGNALS.map(([key]) => number(trial.looks[0]?.[key])), ...names.map((name) => number(trial.looks[0]?.others?.[name]))];
  return section('signals', 'Early signals against the end',
    h('p', { class: 'note' }, hasBands
      ? 'At the first look. Hollow with a line: not trained to its end; the predictor expects it there, in 8 of 10 cases within the line, or where there are many the shade (cut at the edge).'
      : 'At the first look, of the trials that were trained to their end. Only scouting states where others are expected.'),
    h('div', { class: 'panels' }, pictures),
    behind(() => plainTable('Early signals', ['trial', ...columns, study.metric, '80 % of what is expected'],
      originals.map((trial) => [trial.number, ...row(trial), fixed(trial.objective), trial.band ? `${fixed(trial.band[0], 3)} to ${fixed(trial.band[2], 3)}` : MISSING]))));
}
