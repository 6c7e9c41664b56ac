// The whole page, in its order.

const PARTS = [
  answerPart, progressPart, bestPart, constraintsPart, spacePart, signalsPart, whatIfPart, riskPart,
  curvesPart, tablePart, computePart, dataPart, notesPart, againPart,
];

function contents(parts) {
  const links = parts.filter((part) => part.tagName === 'SECTION').map((part) => h('a', { href: `#${part.id}` }, part.querySelector('h2').textContent));
  return h('nav', { 'aria-label': 'Contents' }, links);
}

function follow() {
  const found = /^#trial-(\d+)$/.exec(location.hash);
  if (found) openTrial(Number(found[1]));
}

const parts = PARTS.map((part) => part()).filter(Boolean);
document.title = study.headline;
document.getElementById('page').replaceChildren(...parts.slice(0, 2), contents(parts), ...parts.slice(2), h('footer', null, `Made ${study.made}`));
window.addEventListener('hashchange', follow, { signal: over });
window.addEventListener('keydown', (event) => { if (event.key === 'Escape') hideTip(); }, { signal: over });
for (const number of kept.open) toggleTrial(number, true);
if (!kept.isDrawn) follow();
kept.isDrawn = true;
