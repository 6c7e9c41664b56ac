// The page of `sweep watch`: it asks for the study again when it has changed, and draws it anew
// with what the reader has chosen, opened and reached.

const page = document.getElementById('page');
const status = document.createElement('p');
status.id = 'live';
status.setAttribute('role', 'status');
page.before(status);

let shown = first.version;
let wanted = shown;
let trouble = '';
let isAsking = false;
let isHeld = false;

function tell(text, isTrouble = false) {
  status.textContent = text;
  status.className = isTrouble ? 'trouble' : '';
}

function since() {
  return `live, last change ${new Date().toLocaleTimeString()}`;
}

// In the middle of a drag, or with a text marked, nothing is drawn anew.
function isBusy() {
  return isHeld || document.hidden || !document.getSelection().isCollapsed;
}

async function update() {
  if (isAsking || wanted === shown) return;
  if (isBusy()) return tell('there is news: shown once no text is marked');
  isAsking = true;
  const asked = wanted;
  try {
    const answer = await fetch('document.json', { cache: 'no-store' });
    if (!answer.ok) throw new Error(answer.status);
    const study = await answer.json();
    if (isBusy()) return;
    again(study);
    shown = study.version;
    if (wanted === asked) wanted = shown;
    tell(trouble || since(), Boolean(trouble));
  } catch {
    wanted = shown; // until it is told again
  } finally {
    isAsking = false;
    if (wanted !== shown) setTimeout(update, 200);
  }
}

// What has the focus, as the place of an element among others that can have it.
function placeOf(element) {
  const around = element.closest('tr[data-row], [id]:not(input):not(svg)');
  if (!around || !page.contains(element)) return null;
  const where = around.dataset.row ? `tr[data-row="${around.dataset.row}"]` : `[id="${around.id}"]`;
  return { where, place: [...around.querySelectorAll(REACHED)].indexOf(element) };
}

const REACHED = 'a, button, input, select, summary, [tabindex]';

function again(study) {
  const anchor = [...page.querySelectorAll('header, figure, section, tr[data-row]')].filter((one) => (one.id || one.dataset.row) && one.getBoundingClientRect().top <= 1 && one.getBoundingClientRect().height).at(-1);
  const mark = anchor && (anchor.dataset.row ? `tr[data-row="${anchor.dataset.row}"]` : `[id="${anchor.id}"]`);
  const before = anchor && anchor.getBoundingClientRect().top;
  const top = window.scrollY;
  const opened = [...page.querySelectorAll('details')].map((one, i) => (one.open ? keyOf(one) : null)).filter(Boolean);
  const scrolled = [...page.querySelectorAll('.scroll')].filter((one) => one.scrollLeft || one.scrollTop).map((one) => [one.getAttribute('aria-label'), one.scrollLeft, one.scrollTop]);
  const focus = placeOf(document.activeElement);
  const { selectionStart, selectionEnd } = document.activeElement;

  drawn(study);
  for (const one of page.querySelectorAll('figure')) one.redraw?.();
  for (const one of page.querySelectorAll('details')) {
    if (!opened.includes(keyOf(one))) continue;
    one.open = true;
    one.make?.();
  }
  for (const [label, left, down] of scrolled) {
    const one = [...page.querySelectorAll('.scroll')].find((other) => other.getAttribute('aria-label') === label);
    if (one) one.scrollTo({ left, top: down, behavior: 'instant' });
  }
  const now = mark && page.querySelector(mark);
  const to = now ? window.scrollY + now.getBoundingClientRect().top - before : top;
  window.scrollTo({ top: to, behavior: 'instant' });
  const reached = focus && page.querySelector(focus.where)?.querySelectorAll(REACHED)[focus.place];
  if (!reached) return;
  reached.focus({ preventScroll: true });
  if (typeof selectionStart === 'number') reached.setSelectionRange(selectionStart, selectionEnd);
}

function keyOf(details) {
  const around = details.closest('[id]');
  return `${around.id} ${[...around.querySelectorAll('details')].indexOf(details)}`;
}

const events = new EventSource('events');
events.addEventListener('version', (event) => {
  trouble = '';
  wanted = event.data;
  if (wanted === shown) tell(since());
  update();
});
events.addEventListener('trouble', (event) => {
  trouble = JSON.parse(event.data);
  tell(trouble, true);
});
events.addEventListener('error', () => tell('not connected: sweep watch has ended, or cannot be reached. This is the study as it was; the page tries again.', true));
window.addEventListener('pointerdown', () => { isHeld = true; });
for (const name of ['pointerup', 'pointercancel', 'blur']) window.addEventListener(name, () => { isHeld = false; setTimeout(update); });
for (const name of ['visibilitychange', 'selectionchange']) document.addEventListener(name, () => { if (!isBusy()) update(); });
tell('connecting');
