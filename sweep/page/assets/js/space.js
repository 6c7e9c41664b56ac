// The configuration space: two parameters, coloured by the end or by where it is expected.

function axisOf(name) {
  const values = originals.map((trial) => trial.params[name]).filter((value) => value !== undefined && value !== null);
  const isNumeric = values.length && values.every(isNumber);
  const distinct = [...new Set(values.map((value) => JSON.stringify(value)))].map((text) => JSON.parse(text));
  if (!isNumeric || (distinct.length <= 8 && distinct.every(Number.isInteger))) {
    distinct.sort((a, b) => (isNumber(a) && isNumber(b) ? a - b : String(a) < String(b) ? -1 : 1));
    const short = (range) => categories(distinct, range);
    return { title: name, scale: short, jitter: true };
  }
  const isLog = study.log.includes(name) || (Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 50);
  const domain = isLog ? logExtent(values) : extent(values, 0.06);
  return { title: name, scale: (range, n) => (isLog ? logarithmic(domain, range, n) : linear(domain, range, n)) };
}

function spacePart() {
  if (!study.names.length) return null;
  const prefer = ['learning_rate', 'batch_size', ...study.names].filter((name, i, all) => study.names.includes(name) && all.indexOf(name) === i);
  const known = (name, other) => (study.names.includes(name) ? name : other);
  const chosen = kept.space = { x: known(kept.space?.x, prefer[0]), y: known(kept.space?.y, prefer[1] || prefer[0]) };
  const choice = (axis, text) => h('label', null, `${text} `, h('select', { onchange: (event) => { chosen[axis] = event.target.value; picture.redraw(); } },
    study.names.map((name) => h('option', { value: name, selected: name === chosen[axis] }, name))));
  const expected = originals.some((trial) => !isNumber(trial.objective) && trial.band);
  const picture = figure({
    id: 'space',
    label: `Configurations, coloured by ${study.metric}. Arrow keys go through the trials.`,
    height: 380,
    legend: h('p', { class: 'legend' }, h('span', { class: 'ramp', 'aria-hidden': 'true' }), `worse to better ${study.metric}`,
      study.names.length > 2 ? [choice('x', 'across'), choice('y', 'up')] : null),
    caption: `Filled: trained to the end${study.constraints ? ' (squares break a constraint)' : ''}. Hollow: stopped or not at its end${expected ? ', coloured by where the predictor expects it to end' : ''}. Those of one value are set apart a little.`,
    axes: () => ({ x: axisOf(chosen.x), y: axisOf(chosen.y) }),
    draw(plot) {
      const [ax, ay] = [axisOf(chosen.x), axisOf(chosen.y)];
      const apart = (number, salt) => (((number * 61 + salt) % 17) / 17 - 0.5) * 22;
      for (const trial of [...originals].sort((a, b) => Number(a.isBest) - Number(b.isBest))) {
        const [vx, vy] = [trial.params[chosen.x], trial.params[chosen.y]];
        if (vx === undefined || vy === undefined) continue;
        const x = plot.x.place(vx) + (ax.jitter ? apart(trial.number, 5) : 0);
        const y = plot.y.place(vy) + (ay.jitter ? apart(trial.number, 11) : 0);
        if (!isNumber(x) || !isNumber(y)) continue;
        const colour = isNumber(trial.end) ? endColour(trial.end) : 'var(--faint-ink)';
        const filled = trial.kind === 'completed' || trial.kind === 'broken';
        plot.marks.append(mark(trial, x, y, { size: originals.length > 200 ? 4 : 7, class: trial.isBest ? 'best own' : 'own', style: `--own: ${colour}; --fill: ${filled ? colour : 'transparent'}` }));
        plot.points.push({ x, y, trial: trial.number });
      }
    },
    table: () => plainTable('Configurations', ['trial', ...study.names, 'state', study.metric, 'expected'],
      originals.map((trial) => [trial.number, ...study.names.map((name) => parameter(trial.params[name])), stateWords(trial), fixed(trial.objective), trial.band ? fixed(trial.band[1]) : MISSING])),
  });
  return section('configurations', 'Configurations', picture);
}
