// Where the compute went: from the plan down to what was used.

function computePart() {
  const bars = study.compute.bars;
  const rows = plainTable('Compute', [], study.compute.rows);
  const total = bars[0][1];
  if (!(total > 0)) return section('compute', 'Compute', rows);
  let level = 0;
  const steps = bars.map(([name, flops]) => {
    if (name === 'planned' || name === 'used') {
      level = flops;
      return { name, from: 0, to: flops, flops };
    }
    const from = level;
    level += flops;
    return { name, from, to: level, flops };
  });
  const most = Math.max(...steps.flatMap((step) => [step.from, step.to]));
  const picture = h('div', { class: 'waterfall', role: 'img', 'aria-label': 'From planned to used compute; the table below has the numbers' }, steps.map((step) => {
    const [low, high] = [Math.min(step.from, step.to), Math.max(step.from, step.to)];
    const bar = h('span', { class: `bar ${step.name === 'planned' || step.name === 'used' ? 'whole' : step.flops < 0 ? 'saved' : 'cost'}` });
    bar.style.marginLeft = `${(100 * low) / most}%`;
    bar.style.width = `${Math.max(0.3, (100 * (high - low)) / most)}%`;
    return h('div', null, h('span', { class: 'what' }, step.name), h('span', { class: 'track' }, bar), h('span', { class: 'much' }, `${step.flops < 0 ? '−' : step.from ? '+' : ''}${flops(Math.abs(step.flops))}`));
  }));
  return section('compute', 'Compute', picture, rows);
}
