// The first screen: the question, the answer, four numbers.

function answerPart() {
  return h('header', { id: 'answer' },
    h('p', { class: 'study' }, study.study),
    h('h1', null, study.question),
    h('p', { class: 'short' }, shortAnswer()),
    h('dl', { class: 'tiles' }, study.tiles.map((tile) =>
      h('div', null, h('dt', null, tile.label), h('dd', { class: 'value' }, tile.value), h('dd', { class: 'note' }, tile.note)))),
    h('p', { class: 'note' }, study.standing));
}

function shortAnswer() {
  const best = byNumber.get(study.best);
  if (!best) return study.nearest === undefined ? 'No trial is completed so far.' : ['None that holds every constraint; the nearest is ', h('a', { href: `#trial-${study.nearest}` }, `trial ${study.nearest}`), '.'];
  const own = study.names.map((name) => [h('span', { class: 'name' }, name), ' ', h('b', null, parameter(best.params[name]))]);
  return [own.flatMap((one, i) => (i ? [', ', one] : [one])), own.length ? ': ' : '', h('a', { href: `#trial-${best.number}` }, `trial ${best.number}`)];
}
