// Elements. Texts are only ever set as text: none of them can become markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

// h('p', {class: 'note'}, 'text', h('b', null, 'more'))
function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function section(id, title, ...children) {
  return h('section', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), children);
}

// A table of texts; numbers to the right.
function plainTable(caption, head, rows, numeric = []) {
  const cell = (tag, text, i) =>
    h(tag, { class: numeric[i] ? 'number' : null, scope: tag === 'th' ? 'col' : null }, text);
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', null,
      h('caption', null, caption),
      head.length ? h('thead', null, h('tr', null, head.map((text, i) => cell('th', text, i)))) : null,
      h('tbody', null, rows.map((row) => h('tr', null, row.map((text, i) => cell('td', text, i)))))));
}

// What a picture shows, as a table that is made when it is opened.
function behind(makeTable) {
  const details = h('details', { class: 'behind' }, h('summary', null, 'as a table'));
  details.make = () => {
    if (details.open && details.children.length === 1) details.append(makeTable());
  };
  details.addEventListener('toggle', details.make);
  return details;
}

// A name that may break at its underscores.
function breakable(text) {
  return String(text).split('_').flatMap((part, i) => (i ? ['_', h('wbr'), part] : [part]));
}
