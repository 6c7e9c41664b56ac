// The first picture: every trial's objective so far against its compute.

function progressPart() {
  const size = study.flop.size;
  const values = originals.flatMap((trial) => trial.points.map((point) => point.value));
  const shown = [...values, ...(isNumber(study.base.objective) ? [study.base.objective] : [])];
  const unmeasured = originals.filter((trial) => !trial.points.length);
  const drawn = [...originals].sort((a, b) => sign * ((b.points.at(-1)?.value ?? 0) - (a.points.at(-1)?.value ?? 0)))
    .sort((a, b) => Number(a.isBest) - Number(b.isBest));
  let domain = focused(shown, study.higher);
  const caption = `Each line is a trial: ${study.metric} on the few rows of its looks, then on all rows at its end. `
    + `Compute is as planned, by the share of samples seen. A hollow end was stopped there, a dotted line is parked.`;
  return figure({
    id: 'progress',
    label: `${study.metric} of ${counted(originals.length, 'trial')} against the compute of each. Arrow keys go through the trials.`,
    height: 400,
    legend: legendOf([['best', 'the best'], ...presentKinds(), ...(isNumber(study.base.objective) ? [['base', 'base model']] : [])]),
    caption,
    axes: () => ({
      x: { title: `compute of the trial, ${study.flop.unit}`, scale: (range, n) => linear([0, 1.03 * Math.max(...originals.map((t) => t.planned / size), 1e-9)], range, n) },
      y: { title: study.metric, scale: (range, n) => linear(domain, range, n) },
    }),
    draw(plot) {
      const faint = Math.max(0.12, Math.min(0.8, 30 / originals.length));
      plot.marks.style.setProperty('--faint', faint);
      const clip = (y) => Math.max(plot.top, Math.min(plot.bottom, y));
      if (isNumber(study.base.objective)) {
        const y = plot.y.place(study.base.objective);
        if (y >= plot.top && y <= plot.bottom) plot.marks.append(s('line', { class: 'base', x1: plot.left, x2: plot.right, y1: y, y2: y }));
      }
      let beyond = 0;
      for (const trial of drawn) {
        const aside = originals.length > 60 ? (((trial.number * 61) % 17) / 16 - 0.5) * 14 : 0; // or they hide each other
        const at = trial.points.map((point) => {
          const y = plot.y.place(point.value);
          if (y !== clip(y)) beyond += 1;
          return { x: Math.min(plot.right, plot.x.place(point.flops / size) + aside), y: clip(y), trial: trial.number };
        });
        if (!at.length) continue;
        const best = trial.isBest ? 'best' : '';
        if (at.length > 1) plot.marks.append(s('path', { class: `run ${trial.kind} ${best}`, 'data-trial': trial.number, d: at.map(({ x, y }, i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('') }));
        const last = at.at(-1);
        const small = originals.length > 200;
        plot.marks.append(mark(trial, last.x, last.y, { class: best, size: best ? 6 : small ? 2.5 : 4.5 }));
        plot.points.push(...at);
        at.forEach((to, i) => { if (i) plot.lines.push({ from: at[i - 1], to }); });
      }
      for (const trial of unmeasured) { // nothing to place them by: on the edge, where they were stopped
        const x = plot.x.place(Math.min(trial.flops, trial.planned) / size);
        plot.marks.append(mark(trial, x, plot.bottom, { size: 4 }));
        plot.points.push({ x, y: plot.bottom, trial: trial.number });
      }
      const extra = [];
      if (beyond) extra.push(`${counted(beyond, 'point')} far worse ${beyond === 1 ? 'lies' : 'lie'} on the edge.`);
      if (unmeasured.length) extra.push(`${counted(unmeasured.length, 'trial')} on the lower axis ended or ${unmeasured.length === 1 ? 'is' : 'are'} before any evaluation.`);
      plot.note.textContent = [caption, ...extra].join(' ');
    },
    table: () => plainTable(`${study.metric} so far`, ['trial', 'state', 'configuration', `compute, ${study.flop.unit}`, study.metric, 'because'],
      originals.map((trial) => [trial.number, stateWords(trial), configuration(trial), trial.points.map((p) => number(p.flops / size)).join(', '),
        trial.points.map((p) => fixed(p.value)).join(', ') || MISSING, trial.verdict?.reason || trial.error || '']), [true, false, false, true, true]),
  });
}
