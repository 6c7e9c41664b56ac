// All that is known of one trial, in a row below its own.

const openRows = new Map();

function toggleTrial(number, open = !openRows.has(number)) {
  if (!byNumber.has(number)) return;
  const button = rowOf(byNumber.get(number)).querySelector('button');
  button.setAttribute('aria-expanded', String(open));
  if (open) openRows.set(number, h('tr', { class: 'part', id: `trial-${number}` }, h('td', { colspan: COLUMNS.length }, h('div', { class: 'inner' }, trialPart(byNumber.get(number))))));
  else openRows.delete(number);
  kept.open[open ? 'add' : 'delete'](number);
  showTable();
}

function openTrial(number) {
  if (!byNumber.has(number)) return;
  filters.hidden.delete(byNumber.get(number).kind);
  const box = document.querySelector(`input[name="state-${byNumber.get(number).kind}"]`);
  if (box) box.checked = true;
  filters.text = document.getElementById('find').value = '';
  toggleTrial(number, true);
  hideTip();
  const row = rowOf(byNumber.get(number));
  row.scrollIntoView({ block: 'center' });
  row.querySelector('button').focus({ preventScroll: true });
}

function trialPart(trial) {
  const measured = Object.entries(trial.measured).map(([metric, [value, error, num, groups]]) =>
    [metric, fixed(value) + (isNumber(error) ? ` ± ${fixed(error)}` : ''), `over ${num}`, groups ? Object.entries(groups).map(([name, own]) => `${name} ${fixed(own, 3)}`).join(', ') : '']);
  const looks = trial.looks.map((look, i) => [i ? `look ${i}` : 'window', look.samples, fixed(look.loss, 3), number(look.norm), number(look.free),
    fixed(look.eval, 3) + (isNumber(look.stderr) ? ` ± ${fixed(look.stderr, 3)}` : ''), Object.entries(look.others || {}).map(([name, own]) => `${name} ${fixed(own, 3)}`).join(', ')]);
  const decisions = trial.decisions.map(([moment, step, action, kind, p, reason]) => [moment, step, action, kind, chance(p), reason]);
  return [
    h('h3', null, `Trial ${trial.number}, ${stateWords(trial)}`),
    h('p', null, configuration(trial), trial.recipe ? `; recipe ${trial.recipe}` : ''),
    h('p', { class: 'note' }, `${endWords(trial)}; ${counted(trial.steps, 'step')} planned; ${flops(trial.flops)} used, ${flops(trial.planned)} planned; ${duration(trial.seconds)}; ${counted(trial.attempts, 'attempt')}`),
    trial.error ? h('p', { class: 'trouble' }, trial.error) : null,
    ownCurve(trial),
    looks.length ? plainTable('Early dynamics', ['', 'samples', 'loss', 'norm', 'noise-free', 'early eval', 'others'], looks) : null,
    measured.length ? plainTable('Measured at the end', ['metric', 'value', '', 'groups'], measured) : null,
    decisions.length ? plainTable('Decisions', ['moment', 'step', 'action', 'by', 'P', 'because'], decisions) : null,
  ];
}

// Its loss and gradient norm, small.
function ownCurve(trial) {
  const curves = study.curves.trials[trial.number];
  if (!curves) return null;
  const spark = (values, title) => {
    const points = values.map((value, i) => [study.curves.samples[i], value]).filter(([, value]) => isNumber(value));
    if (points.length < 2) return null;
    const x = linear([0, study.curves.samples.at(-1)], [0, 260]);
    const y = linear(extent(points.map(([, value]) => value)), [58, 4]);
    return h('figure', { class: 'spark' }, s('svg', { viewBox: '0 0 260 62', width: 260, height: 62, role: 'img', 'aria-label': `${title}: from ${number(points[0][1])} to ${number(points.at(-1)[1])}` },
      s('path', { class: 'run completed', d: points.map(([at, value], i) => `${i ? 'L' : 'M'}${x.place(at).toFixed(1)} ${y.place(value).toFixed(1)}`).join('') })),
    h('figcaption', null, `${title}: ${number(points[0][1])} to ${number(points.at(-1)[1])}`));
  };
  return h('div', { class: 'sparks' }, spark(curves[0], 'training loss'), spark(curves[1], 'gradient norm'));
}
