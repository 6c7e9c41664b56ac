// The study's trials as the pictures see them, and a trial in words.

const trials = study.trials;
const originals = trials.filter((trial) => trial.confirms === undefined);
const byNumber = new Map(trials.map((trial) => [trial.number, trial]));
const sign = study.higher ? -1 : 1; // times a value: lower is better

const KINDS = [
  ['completed', 'to its end'],
  ['pruned', 'stopped (pruned)'],
  ['parked', 'parked'],
  ['running', 'running or waiting'],
  ['failed', 'failed'],
  ['broken', 'to its end, breaks a constraint'],
];

for (const trial of trials) {
  trial.kind = trial.state === 'waiting' ? 'running' : trial.state;
  if (trial.feasible === false && trial.kind === 'completed') trial.kind = 'broken';
  trial.isBest = trial.number === study.best;
  trial.end = trial.objective ?? trial.band?.[1]; // known, else predicted
  const batch = trial.batch || 1;
  trial.samples = trial.steps * batch;
  // Compute by then, as planned: by its share of the samples.
  trial.points = trial.looks.filter((look) => isNumber(look.eval)).map((look) => ({
    flops: Math.min(1, look.samples / (trial.samples || 1)) * trial.planned,
    value: look.eval,
    samples: look.samples,
  }));
  if (isNumber(trial.objective)) trial.points.push({ flops: trial.planned, value: trial.objective, samples: trial.samples });
}

function presentKinds(list = originals) {
  return KINDS.filter(([kind]) => list.some((trial) => trial.kind === kind));
}

function configuration(trial) {
  return study.names.map((name) => `${name} ${parameter(trial.params[name])}`).join(', ');
}

function stateWords(trial) {
  const parts = [trial.state];
  if (trial.isBest) parts.push('the best');
  if (trial.audited) parts.push('audited');
  if (trial.feasible === false) parts.push('breaks a constraint');
  if (trial.confirms !== undefined) parts.push(`trial ${trial.confirms} again`);
  return parts.join(', ');
}

function endWords(trial) {
  if (isNumber(trial.objective)) return `${study.metric} ${fixed(trial.objective)}`;
  if (trial.band) return `expected ${study.metric} ${fixed(trial.band[1])} (80 %: ${fixed(trial.band[0], 3)} to ${fixed(trial.band[2], 3)})`;
  const last = trial.points.at(-1);
  return last ? `${study.metric} ${fixed(last.value)} at its last look` : `no ${study.metric} yet`;
}

function trialWords(number) {
  const trial = byNumber.get(number);
  const because = trial.error || trial.verdict?.reason;
  return [
    h('b', null, `trial ${trial.number}`), ` ${stateWords(trial)}`,
    h('br'), configuration(trial),
    h('br'), endWords(trial),
    because ? h('span', { class: 'because' }, because) : '',
  ];
}

// From worse to better, where ends are told apart: 0 to 1.
const endRange = focused(originals.map((trial) => trial.end), study.higher);

function endColour(end) {
  const up = (end - endRange[0]) / (endRange[1] - endRange[0] || 1);
  const good = Math.max(0, Math.min(1, study.higher ? up : 1 - up));
  return `color-mix(in oklab, var(--better) ${Math.round(100 * good)}%, var(--worse))`;
}
