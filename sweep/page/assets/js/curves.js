// Curves on a shared axis of samples, drawn by uPlot: loss, gradient norms, evaluations.

const MOST_LINES = 60;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Those that are drawn: all, or the best and others spread by how they ended.
function drawnTrials() {
  const known = originals.filter((trial) => study.curves.trials[trial.number] || trial.points.length);
  if (known.length <= MOST_LINES) return known;
  const order = [...known].sort((a, b) => sign * ((a.end ?? sign * Infinity) - (b.end ?? sign * Infinity)) || a.number - b.number);
  const step = (order.length - 1) / (MOST_LINES - 1);
  const kept = new Set(Array.from({ length: MOST_LINES }, (_, i) => order[Math.round(i * step)]));
  const best = byNumber.get(study.best);
  if (best && known.includes(best)) kept.add(best);
  return known.filter((trial) => kept.has(trial));
}

// At each place the 10th and the 90th percentile of the trials that were there.
function cohortBand(series) {
  const columns = series.length ? series[0].map((_, i) => series.map((values) => values[i]).filter(isNumber)) : [];
  const of = (share) => columns.map((column) => (column.length > 3 ? quantile(column, share) : null));
  return [of(0.1), of(0.9)];
}

function lineStyle(trial, alpha) {
  return {
    label: `trial ${trial.number}`,
    stroke: () => colour(trial.isBest ? '--accent' : trial.kind === 'completed' || trial.kind === 'broken' ? '--ink-2' : '--faint-ink'),
    width: trial.isBest ? 2.5 : 1,
    alpha: trial.isBest ? 1 : alpha,
    dash: trial.kind === 'parked' ? [2, 3] : undefined,
    spanGaps: true,
    points: { show: false },
  };
}

function curvePicture({ id, title, xs, series, band, isLog, shown, sync, looks, height = 220, points }) {
  const holder = h('div', { class: 'plot', style: `min-height: ${height}px`, id: `${id}-plot`, role: 'img', tabindex: -1, 'aria-label': `${title} against samples; the table below has its numbers` });
  const alpha = Math.max(0.3, Math.min(0.8, 12 / shown.length));
  let drawn = null;
  function make() {
    drawn?.destroy();
    const bands = band ? [{ series: [2, 1], fill: () => colour('--band') }] : undefined;
    const hidden = (label) => ({ label, stroke: 'transparent', points: { show: false }, spanGaps: true });
    const values = series.flat().filter(isNumber);
    const closer = kept.closer[id];
    const axis = { stroke: () => colour('--ink-2'), grid: { stroke: () => colour('--line'), width: 1 }, ticks: { stroke: () => colour('--line') }, font: '12px system-ui' };
    drawn = new uPlot({
      width: holder.clientWidth || 800,
      height,
      legend: { show: false },
      scales: { x: { time: false }, y: { range: (_, low, high) => focusedRange(values, low, high) } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString('en')), size: 34 }, { ...axis, size: 56, ...(isLog ? logTicks : { values: (_, ticks) => ticks.map((tick) => number(tick)) }) }],
      cursor: { sync: { key: sync.key, setSeries: true, scales: ['x', null] }, focus: { prox: 14 }, points: { size: 6 }, y: false, drag: { x: true, y: false } },
      focus: { alpha: 0.25 },
      bands,
      series: [{ label: 'samples' }, ...(band ? [hidden('low'), hidden('high')] : []), ...shown.map((trial) => ({ ...lineStyle(trial, alpha), ...(points ? { points: { show: true, size: trial.isBest ? 7 : 5, stroke: lineStyle(trial).stroke, fill: lineStyle(trial).stroke } } : {}) }))],
      hooks: {
        drawClear: [(plot) => looks.forEach((at) => {
          const x = plot.valToPos(at, 'x', true);
          plot.ctx.save();
          plot.ctx.strokeStyle = colour('--look');
          plot.ctx.setLineDash([4, 4]);
          plot.ctx.beginPath();
          plot.ctx.moveTo(x, plot.bbox.top);
          plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
          plot.ctx.stroke();
          plot.ctx.restore();
        })],
        setSeries: [(plot, index) => {
          const trial = index === null ? null : shown[index - (band ? 3 : 1)];
          if (!trial || !plot.over.matches(':hover')) return trial ? undefined : hideTip();
          showTip(trial.number, plot.over.getBoundingClientRect(), plot.cursor.left, plot.cursor.top);
        }],
        setScale: [(plot, key) => {
          const { min, max } = plot.scales.x;
          if (key === 'x') kept.closer[id] = min > xs[0] || max < xs.at(-1) ? { min, max } : null;
        }],
      },
    }, [xs, ...(band || []), ...series], holder);
    if (closer) drawn.setScale('x', closer);
    drawn.over.addEventListener('pointerleave', hideTip);
    sync.sub(drawn);
  }
  let last = 0;
  new ResizeObserver(() => {
    if (!holder.clientWidth || holder.clientWidth === last) return;
    last = holder.clientWidth;
    if (drawn) drawn.setSize({ width: last, height });
    else make();
  }).observe(holder);
  const redraw = () => drawn?.redraw(false, true);
  for (const query of ['(prefers-color-scheme: dark)', 'print']) window.matchMedia(query).addEventListener('change', redraw, { signal: over });
  window.addEventListener('beforeprint', redraw, { signal: over });
  over.addEventListener('abort', () => drawn?.destroy());
  return h('div', { class: 'curve', id }, h('h3', null, title), holder);
}

// Of values that are drawn as their logarithms.
const logTicks = {
  splits: (plot, axis, low, high) => logarithmic([10 ** low, 10 ** high], [0, 1]).ticks.map(({ value }) => Math.log10(value)),
  values: (plot, ticks) => ticks.map((tick) => number(10 ** tick, 2)),
};

// Without what towers above nearly everything, as a loss of the first steps.
function focusedRange(values, low, high) {
  if (!values.length) return [0, 1];
  const most = quantile(values, 0.98);
  const least = quantile(values, 0.01);
  const top = high > most + 1.5 * (most - least) ? most : high;
  return [low - 0.05 * (top - low), top + 0.05 * (top - low)];
}

function curvesPart() {
  const shown = drawnTrials();
  if (!shown.length) return null;
  const last = Math.max(...shown.map((trial) => trial.points.at(-1)?.samples ?? 0));
  const xs = [0, ...(study.curves.samples.length ? study.curves.samples : [last])];
  const sync = uPlot.sync('curves');
  const looks = [...new Set(originals.flatMap((trial) => trial.looks.map((look) => look.samples)))].sort((a, b) => a - b).slice(0, 12);
  const padded = (values) => [null, ...values, ...Array(xs.length - 1 - values.length).fill(null)];
  const one = (kind, id, title, isLog) => {
    const drawn = (values) => padded(isLog ? values.map((value) => (value > 0 ? Math.log10(value) : null)) : values);
    const series = shown.map((trial) => drawn(study.curves.trials[trial.number]?.[kind] || []));
    if (!series.some((values) => values.some(isNumber))) return null;
    return curvePicture({ id, title, xs, series, band: originals.length > 3 ? cohortBand(Object.values(study.curves.trials).map((curves) => drawn(curves[kind]))) : null, isLog, shown, sync, looks });
  };
  const evalXs = [...new Set([0, xs.at(-1), ...originals.flatMap((trial) => trial.points.map((point) => point.samples))])].sort((a, b) => a - b);
  const evalsOf = (trial) => {
    const at = new Map(trial.points.map((point) => [point.samples, point.value]));
    return evalXs.map((x) => at.get(x) ?? null);
  };
  const evals = shown.map(evalsOf);
  const says = [`Dashed: looks. Shaded: 8 of 10 trials that were there.`];
  if (study.curves.steps_a_point > 1) says.push(`Thinned: a point is the mean of up to ${study.curves.steps_a_point} steps.`);
  if (shown.length < originals.length && shown.length >= MOST_LINES) says.push(`${shown.length} of ${counted(originals.length, 'trial')} are drawn, spread by how they ended; the shading is of all.`);
  says.push('A noise-free norm is of the last 8 steps together, and missing where the noise hides it. Drag to look closer, double click to go back.');
  return section('curves', 'Curves',
    h('p', { class: 'note' }, says.join(' ')),
    one(0, 'curve-loss', 'training loss, nats per token', false),
    one(1, 'curve-norm', 'gradient norm, raw', true),
    one(2, 'curve-free', 'gradient norm, noise-free', true),
    evals.flat().some(isNumber) ? curvePicture({ id: 'curve-evals', title: `${study.metric}: at looks, and at the end`, xs: evalXs, series: evals, band: originals.length > 3 ? [evalXs.map(() => null), evalXs.map(() => null)] : null, shown, sync, looks, points: true }) : null,
    h('p', { class: 'axis-title' }, 'samples'),
    behind(() => curvesTable(shown)));
}

// Ten places along the axis are enough to be read out.
function curvesTable(shown) {
  const xs = study.curves.samples.length ? study.curves.samples : [0];
  const places = [...new Set(Array.from({ length: 10 }, (_, i) => Math.round((i + 1) * (xs.length / 10)) - 1))].filter((i) => i >= 0);
  const rows = shown.flatMap((trial) => ['training loss', 'gradient norm', 'noise-free norm'].map((what, kind) =>
    [trial.number, what, ...places.map((i) => number((study.curves.trials[trial.number]?.[kind] || []).slice(0, i + 1).findLast(isNumber)))]));
  return plainTable('Curves: the last value by so many samples', ['trial', 'what', ...places.map((i) => number(xs[i], 4))], rows);
}
