// All trials: sorted by a column, filtered by state and by what stands in them.

const COLUMNS = [
  { title: 'trial', number: true, value: (t) => t.number },
  { title: 'state', value: (t) => stateWords(t) },
  ...study.names.map((name) => ({ title: name, number: originals.every((t) => isNumber(t.params[name])), value: (t) => t.params[name], text: parameter })),
  { title: 'early loss', number: true, value: (t) => t.looks[0]?.loss, text: (v) => fixed(v, 3) },
  { title: 'grad norm', number: true, value: (t) => t.looks[0]?.norm, text: number },
  { title: 'noise-free', number: true, value: (t) => t.looks[0]?.free, text: number },
  { title: 'early eval', number: true, value: (t) => t.looks[0]?.eval, text: (v) => fixed(v, 3) },
  { title: 'P', number: true, value: (t) => t.p, text: chance },
  { title: study.metric, number: true, value: (t) => t.objective, text: (v) => fixed(v) },
  { title: study.flop.unit, number: true, value: (t) => t.flops / study.flop.size, text: number },
  { title: 'time', number: true, value: (t) => t.seconds, text: duration },
  { title: 'because', value: (t) => t.error || t.verdict?.reason || '', wide: true },
];

kept.order ??= { title: study.metric, down: study.higher };
const order = kept.order;
const filters = kept.filters;
const FIRST_ROWS = 100;
const rowsOf = new Map();

function textOf(column, trial) {
  const value = column.value(trial);
  if (value === undefined || value === null) return MISSING;
  return column.text ? column.text(value) : String(value);
}

function rowOf(trial) {
  if (!rowsOf.has(trial.number)) {
    const cells = COLUMNS.map((column, i) => (i
      ? h('td', { class: column.number ? 'number' : column.wide ? 'wide' : null }, column.wide ? h('div', null, textOf(column, trial)) : textOf(column, trial))
      : h('th', { scope: 'row', class: 'number' }, h('button', { type: 'button', class: 'open', 'aria-expanded': 'false', 'aria-controls': `trial-${trial.number}`, onclick: () => toggleTrial(trial.number) }, String(trial.number)))));
    const row = h('tr', { 'data-row': trial.number, class: trial.isBest ? 'best' : trial.kind }, cells);
    row.words = COLUMNS.map((column) => textOf(column, trial)).join(' ').toLowerCase();
    rowsOf.set(trial.number, row);
  }
  return rowsOf.get(trial.number);
}

// Titles may come and go with what varies.
function sortedBy() {
  return COLUMNS.findLast((column) => column.title === order.title) || COLUMNS[0];
}

function compare(a, b) {
  const column = sortedBy();
  const [x, y] = [column.value(a), column.value(b)];
  const [noX, noY] = [x === undefined || x === null || x === '', y === undefined || y === null || y === ''];
  if (noX || noY) return noX - noY || a.number - b.number; // what is not known stands last
  const way = isNumber(x) && isNumber(y) ? x - y : String(x).localeCompare(String(y));
  return (order.down ? -way : way) || a.number - b.number;
}

function tablePart() {
  const body = h('tbody');
  const count = h('p', { class: 'note', role: 'status', id: 'table-count' });
  const all = h('button', { type: 'button', class: 'all', onclick: () => { kept.isWhole = true; show(); } }, 'show all');
  const heads = COLUMNS.map((column, i) => h('th', { scope: 'col', class: column.number ? 'number' : column.wide ? 'wide' : null },
    h('button', { type: 'button', onclick: () => sortBy(i) }, breakable(column.title))));
  function sortBy(i) {
    if (sortedBy() === COLUMNS[i]) order.down = !order.down;
    else Object.assign(order, { title: COLUMNS[i].title, down: false });
    show();
  }
  function show() {
    const words = filters.text.trim().toLowerCase();
    const matching = trials.filter((trial) => !filters.hidden.has(trial.kind) && rowOf(trial).words.includes(words)).sort(compare);
    const few = kept.isWhole ? matching : matching.filter((trial, i) => i < FIRST_ROWS || openRows.has(trial.number));
    body.replaceChildren(...few.flatMap((trial) => [rowOf(trial), openRows.get(trial.number)].filter(Boolean)));
    heads.forEach((head, i) => head.setAttribute('aria-sort', COLUMNS[i] === sortedBy() ? (order.down ? 'descending' : 'ascending') : 'none'));
    const found = `${matching.length.toLocaleString('en')} of ${counted(trials.length, 'trial')}`;
    count.textContent = few.length < matching.length ? `${found}, the first ${few.length} shown` : `${found} shown`;
    all.hidden = few.length === matching.length;
  }
  showTable = show;
  const kinds = presentKinds(trials).map(([kind, text]) => h('label', null,
    h('input', { type: 'checkbox', name: `state-${kind}`, checked: !filters.hidden.has(kind), onchange: (event) => { filters.hidden[event.target.checked ? 'delete' : 'add'](kind); show(); } }), ` ${text}`));
  const search = h('label', null, 'find ', h('input', { type: 'search', id: 'find', value: filters.text || null, oninput: (event) => { filters.text = event.target.value; show(); } }));
  show();
  return section('trials', 'Trials',
    study.fixed ? h('p', { class: 'note' }, `The same in all trials: ${study.fixed}`) : null,
    h('div', { class: 'filters' }, kinds, search),
    count,
    h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Trials' },
      h('table', { id: 'trial-table' }, h('caption', null, 'A trial’s number opens all that is known of it; a column’s title sorts by it.'), h('thead', null, h('tr', null, heads)), body)),
    all);
}

let showTable = () => {};
