// What is said in sentences: the best, risk and audits, data, environment, the command.

function lines(list) {
  return h('ul', null, list.map((line) => h('li', null, line)));
}

function bestPart() {
  return section('best', 'The best', lines(study.answer), study.confirmed.length ? [h('h3', null, 'Trained again with other seeds'), lines(study.confirmed)] : null);
}

function riskPart() {
  if (!study.risk.length) return null;
  const audits = study.audits;
  const rows = [
    ['audited trials', String(audits.num)],
    ['of these at their end', String(audits.finished)],
    ['audits that tell', String(audits.told)],
    ['would have won', String(audits.misses)],
    ['share of misses', isNumber(audits.rate) ? `${(100 * audits.rate).toFixed(0)} % (95 %: ${(100 * audits.low).toFixed(0)} to ${(100 * audits.high).toFixed(0)} %)` : MISSING],
    ['P stated, on average', chance(audits.mean_stated)],
    ['compute of auditing', flops(audits.beyond_flops)],
  ];
  const audited = originals.filter((trial) => trial.audited);
  const auditedTable = () => plainTable('Audited trials: to be stopped, but trained on as a check', ['trial', 'P', study.metric, 'because'],
    audited.map((trial) => [trial.number, chance(trial.p), fixed(trial.objective), trial.verdict?.reason || '']));
  return section('audits', 'Risk and audits', lines(study.risk), audits.num ? plainTable('Audits', [], rows) : null,
    audited.length > 12 ? behind(auditedTable) : audited.length ? auditedTable() : null);
}

function dataPart() {
  if (!study.data.length) return null;
  return section('data', 'Data', h('pre', { tabindex: 0 }, study.data.join('\n')));
}

function notesPart() {
  return study.notes.length ? section('notes', 'Notes', lines(study.notes)) : null;
}

function againPart() {
  return section('again', 'Again',
    h('pre', { tabindex: 0 }, study.command),
    h('p', { class: 'note' }, `All of it is in ${study.out}. The study file as it was resolved:`),
    h('details', { class: 'behind' }, h('summary', null, 'study file'), h('pre', { tabindex: 0 }, study.study_file)),
    h('h3', null, 'Environment'),
    plainTable('Environment', [], Object.entries(study.environment)));
}
