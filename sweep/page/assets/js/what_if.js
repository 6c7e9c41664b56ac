// What would have been given up at another risk, by the rules of the driver, from the P on record.

// In the order decided; `trial -> decision`. A probability below the risk is needed, and room below
// the limit of expected misses; what is checked by an audit takes no room.
function givenUp({ asked, limit, share_of_rest: shareOfRest }, risk) {
  const found = new Map();
  let spent = 0;
  for (let i = 0; i < asked.length;) {
    const together = [];
    const round = asked[i].round;
    for (; i < asked.length && asked[i].round === round; i++) {
      if (!found.has(asked[i].trial) && asked[i].probability < risk) together.push(asked[i]);
    }
    together.sort((a, b) => a.probability - b.probability);
    let left = limit - spent;
    for (const one of together) {
      const p = one.probability;
      let fits = p <= left;
      if (isNumber(shareOfRest)) fits = one.halves && p <= shareOfRest * left;
      else if (!one.given_up || one.audited) fits = !isNumber(one.together) || one.together <= left;
      if (!fits) continue;
      found.set(one.trial, one);
      if (!one.audited) {
        spent += p;
        left = limit - spent;
      }
    }
  }
  return found;
}

function whatIfPart() {
  const given = study.what_if;
  if (!given) return null;
  const asked = [...new Map(given.asked.map((one) => [one.trial, one])).keys()];
  const lowest = new Map();
  for (const one of given.asked) lowest.set(one.trial, Math.min(one.probability, lowest.get(one.trial) ?? 1));
  const recorded = new Set(given.asked.filter((one) => one.given_up).map((one) => one.trial));
  const toRisk = (at) => 10 ** (-3 + (3 * at) / 1000); // 0.001 to 1
  const toPlace = (risk) => Math.round(((Math.log10(risk) + 3) / 3) * 1000);
  let risk = kept.risk ?? given.risk;
  const slider = h('input', { type: 'range', id: 'risk', min: 0, max: 1000, step: 1, value: toPlace(risk), 'aria-describedby': 'what-if-said' });
  const shownRisk = h('output', { id: 'risk-value', for: 'risk' });
  const told = h('ul', { id: 'what-if-said', 'aria-live': 'polite' });
  const names = (numbers) => (numbers.length > 12 ? `${numbers.slice(0, 12).join(', ')} and ${numbers.length - 12} more` : numbers.join(', '));

  function show() {
    const now = givenUp(given, risk);
    const more = [...now.keys()].filter((number) => !recorded.has(number));
    const fewer = [...recorded].filter((number) => !now.has(number));
    const unspent = [...now.values()].reduce((sum, one) => sum + byNumber.get(one.trial).planned * (1 - one.step / Math.max(byNumber.get(one.trial).steps, 1)), 0);
    const stated = [...now.values()].reduce((sum, one) => sum + (one.audited ? 0 : one.probability), 0);
    const ended = originals.filter((trial) => isNumber(trial.objective) && trial.feasible !== false);
    const best = (list) => list.reduce((a, b) => (a === null || sign * b.objective < sign * a.objective ? b : a), null);
    const [all, kept] = [best(ended), best(ended.filter((trial) => !now.has(trial.number)))];
    const lines = [
      [h('b', { id: 'num-given-up' }, String(now.size)), ` of ${counted(asked.length, 'trial')} with a stated P given up; in truth ${recorded.size} at risk ${number(given.risk)}${given.asked.some((one) => one.given_up && one.audited) ? ', audited ones included' : ''}`],
      `the P of those given up and not audited add up to ${chance(stated)} expected misses (limit ${number(given.limit)})`,
      `${flops(unspent)} of training not done`,
    ];
    if (more.length) lines.push(`given up as well: ${names(more)}`);
    if (fewer.length) lines.push(`gone on with after all: ${names(fewer)}; how they would have ended is not known`);
    if (all && kept && kept !== all) lines.push(`the best would have been lost: trial ${all.number} (${fixed(all.objective)}), leaving trial ${kept.number} (${fixed(kept.objective)})`);
    else if (all && kept) lines.push(`the best, trial ${all.number}, would have been kept`);
    else if (all) lines.push('no trial that ended would have been left');
    told.replaceChildren(...lines.map((line) => h('li', null, line)));
    shownRisk.textContent = number(risk, 2);
    slider.setAttribute('aria-valuetext', `risk ${number(risk, 2)}`);
    picture.redraw();
  }
  slider.addEventListener('input', () => {
    const at = Number(slider.value);
    risk = at === toPlace(given.risk) ? given.risk : toRisk(at);
    kept.risk = risk === given.risk ? null : risk;
    show();
  });
  const floor = Math.max(1e-6, Math.min(1e-2, 10 ** Math.floor(Math.log10(Math.min(...lowest.values()) || 1e-6))));
  const picture = figure({
    id: 'chances',
    label: 'The lowest P that was stated of each trial, with the risk as a line',
    height: 170,
    caption: 'The lowest P stated of each trial when it was asked about. Filled: would go on; hollow: would be given up.',
    axes: () => ({
      x: { title: 'P of overtaking the best', scale: (range, n) => logarithmic([floor, 1], range, n) },
      y: { title: '', scale: (range) => ({ place: () => (range[0] + range[1]) / 2, ticks: [] }) },
    }),
    draw(plot) {
      const now = givenUp(given, risk);
      const at = plot.x.place(Math.max(floor, Math.min(1, risk)));
      plot.marks.append(s('line', { class: 'risk', x1: at, x2: at, y1: plot.top, y2: plot.bottom }));
      const height = plot.bottom - plot.top;
      for (const number of asked) {
        const trial = byNumber.get(number);
        if (!trial) continue;
        const x = plot.x.place(Math.max(floor, lowest.get(number)));
        const y = plot.top + height * (0.12 + (0.76 * ((number * 37) % 101)) / 101);
        plot.marks.append(mark({ number, kind: now.has(number) ? 'pruned' : 'completed' }, x, y, { class: trial.isBest ? 'best' : '', size: asked.length > 200 ? 3 : 5 }));
        plot.points.push({ x, y, trial: number });
      }
    },
    table: () => plainTable('Stated P', ['trial', 'moment', 'P', 'in truth'], given.asked.map((one) => [one.trial, `step ${one.step}`, chance(one.probability), !one.given_up ? 'went on' : one.audited ? 'audited' : 'given up'])),
  });
  const part = section('what-if', 'What if the risk were another?',
    h('p', { class: 'risk' }, h('label', { for: 'risk' }, 'pruning.risk '), slider, ' ', shownRisk),
    told,
    picture,
    h('p', { class: 'note' }, 'From the probabilities on record, by the driver’s own rule. What would have ended otherwise would have changed later ones: ', h('code', null, 'sweep replay STUDY --set risk=…'), ' goes through whole studies again.'));
  show();
  return part;
}
