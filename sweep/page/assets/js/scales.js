// Scales: from a value to a place in pixels, with the ticks of an axis.

function linear([low, high], [from, to], wanted = 5) {
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) * 0.05, low + (Math.abs(low) || 1) * 0.05];
  const rough = (high - low) / wanted;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * size).find((n) => n >= rough * 0.999);
  const decimals = Math.max(0, Math.min(12, -Math.floor(Math.log10(step) + 1e-9) + (step / size === 2.5 ? 1 : 0)));
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++) {
    ticks.push({ value: n * step, text: Math.abs(n * step) >= 1e5 ? number(n * step) : (n * step).toFixed(decimals) });
  }
  const place = (value) => from + ((value - low) / (high - low)) * (to - from);
  return { place, ticks, low, high };
}

function logarithmic([low, high], [from, to], wanted = 6) {
  if (!(high > low)) [low, high] = [low / 2, high * 2];
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const place = (value) => from + ((Math.log10(value) - a) / (b - a)) * (to - from);
  if (b - a < 0.7) return { place, ticks: linear([low, high], [0, 1], 4).ticks, low, high };
  const factors = [[1, 2, 5], [1, 3], [1]].find((some) => some.length * (b - a) <= wanted + 1) || [1];
  const ticks = [];
  for (let power = Math.floor(a); power <= Math.ceil(b); power++) {
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push({ value, text: number(value, 1) });
    }
  }
  return { place, ticks, low, high };
}

function categories(values, [from, to]) {
  const key = (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
  const short = (text) => (text.length > 18 ? `${text.slice(0, 17)}…` : text);
  const width = (to - from) / Math.max(values.length, 1);
  const index = new Map(values.map((value, i) => [key(value), i]));
  const place = (value) => from + (index.get(key(value)) + 0.5) * width;
  return { place, ticks: values.map((value) => ({ value, text: short(parameter(value)) })) };
}

// The smallest and largest, with a margin on both sides.
function extent(values, margin = 0.05) {
  const known = values.filter(isNumber);
  if (!known.length) return [0, 1];
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  return [low - margin * (high - low), high + margin * (high - low)];
}

function logExtent(values) {
  const [low, high] = extent(values.filter((value) => value > 0).map(Math.log10), 0.06);
  return [10 ** low, 10 ** high];
}

function quantile(values, share) {
  const sorted = values.filter(isNumber).sort((a, b) => a - b);
  if (!sorted.length) return undefined;
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

// Where ends are told apart: what is far worse than most lies beyond the edge.
function focused(values, higher) {
  const known = values.filter(isNumber);
  if (known.length < 4) return extent(known, 0.08);
  const sign = higher ? -1 : 1;
  const minimized = known.map((value) => sign * value);
  const best = minimized.reduce((a, b) => Math.min(a, b));
  const most = Math.max(quantile(minimized, 0.9), best + 3 * (quantile(minimized, 0.5) - best));
  const kept = minimized.filter((value) => value <= most);
  const worst = kept.reduce((a, b) => Math.max(a, b));
  return extent([sign * best, sign * worst], 0.08);
}
