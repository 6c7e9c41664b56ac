// Numbers as `sweep inspect` writes them: see sweep/formats.py.

const MISSING = '–';
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

function fixed(value, decimals = 4) {
  return isNumber(value) ? value.toFixed(decimals) : MISSING;
}

function number(value, digits = 3) {
  if (!isNumber(value)) return MISSING;
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) return value.toExponential(digits - 1).replace('e+', 'e');
  return size >= 10 ** digits ? value.toFixed(0) : String(Number(value.toPrecision(digits)));
}

// `1.23 PFLOP`
function flops(count) {
  if (!isNumber(count)) return MISSING;
  for (const [size, name] of [[1e18, 'EFLOP'], [1e15, 'PFLOP'], [1e12, 'TFLOP'], [1e9, 'GFLOP'], [1e6, 'MFLOP']]) {
    if (Math.abs(count) >= size) return `${number(count / size)} ${name}`;
  }
  return `${number(count)} FLOP`;
}

function chance(p) {
  if (!isNumber(p)) return MISSING;
  return p >= 0.01 || p === 0 ? p.toFixed(2) : String(Number(p.toPrecision(1)));
}

function duration(seconds) {
  if (!isNumber(seconds)) return MISSING;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const two = (value) => String(value).padStart(2, '0');
  return hours ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(whole % 60)} s`;
}

function counted(count, what) {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
}

function parameter(value) {
  if (value === undefined || value === null) return MISSING;
  if (typeof value === 'number' && !Number.isInteger(value)) return number(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
