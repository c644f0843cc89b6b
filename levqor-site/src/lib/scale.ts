/** Room for what is drawn, in the pixels of its element. */
export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Values as a chart holds them, from `low` to `high`, with the levels that are named at its edge. */
export interface Range {
  low: number;
  high: number;
  ticks: readonly number[];
}

const STEPS = [1, 2, 2.5, 5, 10];

/** Round levels that hold every value and zero. `isWhole`: of things that come one by one. */
export function rangeOf(values: readonly number[], most = 5, isWhole = false): Range {
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  if (high === low) return { low: 0, high: 1, ticks: [0, 1] };
  const rough = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const round = size * (STEPS.find((step) => step * size >= rough) ?? 10);
  const step = isWhole ? Math.max(1, Math.ceil(round)) : round;
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => tidy((first + index) * step));
  return { low: tidy(first * step), high: tidy(last * step), ticks };
}

/** Where a value is, in pixels from the top. */
export function yOf(value: number, range: Range, box: Box): number {
  return box.bottom - ((value - range.low) / (range.high - range.low)) * (box.bottom - box.top);
}

/** Sums of tenths are not quite tenths. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}
