// Drawn once, or again whenever there is news. What a reader has chosen is kept between drawings.

const kept = { closer: {}, filters: { hidden: new Set(), text: '' }, open: new Set() };
let drawing = new AbortController();

function drawn(study) {
  drawing.abort();
  drawing = new AbortController();
  draw(study, kept, drawing.signal);
}

const first = JSON.parse(document.getElementById('data').textContent);
drawn(first);
