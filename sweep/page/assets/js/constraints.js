// What each constraint costs: the objective against the distance from the bound, with its interval.

function constraintPicture(constraint, place) {
  const measured = originals.filter((trial) => isNumber(trial.objective) && isNumber(trial.held?.[place]?.[0]));
  if (!measured.length) return null;
  const held = (trial) => trial.held[place];
  const xs = [0, ...measured.flatMap((trial) => held(trial).slice(0, 3))];
  return figure({
    id: `constraint-${place}`,
    label: `${study.metric} against the distance from the bound of ${constraint.metric}, ${counted(measured.length, 'trial')}. Arrow keys go through them.`,
    height: 300,
    legend: legendOf([['best', 'the best'], ...presentKinds(measured)]),
    caption: 'Right of the line holds the constraint; the whole 95 % interval must, but for the margin. The dashed line joins those that no other trial beats in both.',
    axes: () => ({
      x: { title: `${constraint.metric}: distance from the bound`, scale: (range, n) => linear(extent(xs, 0.06), range, Math.min(n, 6)) },
      y: { title: study.metric, scale: (range, n) => linear(extent(measured.map((trial) => trial.objective), 0.08), range, n) },
    }),
    draw(plot) {
      const at = (trial) => [plot.x.place(held(trial)[0]), plot.y.place(trial.objective)];
      const zero = plot.x.place(0);
      plot.marks.append(s('line', { class: 'bound', x1: zero, x2: zero, y1: plot.top, y2: plot.bottom }));
      const front = constraint.front.map((number) => byNumber.get(number)).filter((trial) => measured.includes(trial));
      if (front.length > 1) plot.marks.append(s('path', { class: 'run front', d: `M${front.map((trial) => at(trial).join(' ')).join('L')}` }));
      plot.marks.style.setProperty('--faint', Math.max(0.1, Math.min(0.6, 30 / measured.length)));
      for (const trial of [...measured].sort((a, b) => Number(a.isBest) - Number(b.isBest))) {
        const [x, y] = at(trial);
        const [, low, high] = held(trial);
        plot.marks.append(s('line', { class: 'band', 'data-trial': trial.number, x1: plot.x.place(low), x2: plot.x.place(high), y1: y, y2: y }));
        plot.marks.append(mark(trial, x, y, { class: trial.isBest ? 'best' : '', size: measured.length > 200 ? 3 : 5 }));
        plot.points.push({ x, y, trial: trial.number });
      }
    },
    table: () => plainTable(constraint.line, constraint.head, constraint.rows),
  });
}

function constraintsPart() {
  if (!study.constraints) return null;
  return section('constraints', 'Constraints', study.constraints.map((constraint, place) =>
    [h('p', null, constraint.line), constraintPicture(constraint, place) || h('p', { class: 'note' }, 'No completed trial has been measured on it.')]),
  h('p', { class: 'note' }, study.trade_off));
}
