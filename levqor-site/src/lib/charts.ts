import type uPlot from "uplot";

import { labelPlaces, type Mark, marksNear, timesWith } from "@/lib/marks";

/** One line of a chart: which colour token, how it is drawn. */
export interface Line {
  label: string;
  token: string;
  isStepped?: boolean;
  isDashed?: boolean;
  /** Measured on an axis of its own, at the right. */
  isOnRight?: boolean;
  format: (value: number) => string;
}

/** A level that a rule looks at, drawn across the chart. */
export interface Threshold {
  value: number;
  label: string;
}

/** A value of a line; a gap has none. */
export function reading(line: Line, value: number | null | undefined): string {
  return value === null || value === undefined ? "no data" : line.format(value);
}

const GRID_WIDTH = 0.5;
const AXIS_WIDTH = 44;

/** The page's own colour, so that light and dark are the style sheet's business. */
export function colour(token: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
}

/** Options of one chart. Charts with the same `group` share their cursor. Gaps stay gaps; a point alone is drawn. */
export function chartOptions(
  lines: readonly Line[],
  thresholds: readonly Threshold[],
  marks: readonly Mark[],
  height: number,
  group: string,
  step: uPlot.Series.PathBuilder | null,
  hasTimes = true,
): Omit<uPlot.Options, "width"> {
  const quiet = colour("--text-quiet");
  const axis = { stroke: quiet, grid: { stroke: colour("--line"), width: GRID_WIDTH }, ticks: { show: false }, font: "11px system-ui" };
  return {
    height,
    padding: [4, 4, hasTimes ? 0 : 4, 0],
    legend: { show: false },
    cursor: { sync: { key: group }, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { range: (_chart, low, high) => timesWith(marks, low, high) },
      y: { range: (_chart, low, high) => range(low, high, thresholds) },
      right: { range: (_chart, low, high) => range(low, high, []) },
    },
    axes: [
      { ...axis, show: hasTimes, size: 20, values: (_chart, ticks) => ticks.map(timeLabel(ticks)) },
      { ...axis, size: AXIS_WIDTH, values: labels(lines.find((line) => line.isOnRight !== true)) },
      // Always there, so that charts under one another are of one width.
      { ...axis, scale: "right", side: 1, size: AXIS_WIDTH, grid: { show: false }, values: labels(lines.find((line) => line.isOnRight === true)) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.token),
        width: 1.5,
        spanGaps: false,
        scale: line.isOnRight === true ? "right" : "y",
        points: { show: true, size: 4, filter: lonePoints },
        ...(line.isDashed ? { dash: [6, 4] } : {}),
        ...(line.isStepped && step !== null ? { paths: step } : {}),
      })),
    ],
    hooks: {
      draw: [(chart) => drawThresholds(chart, thresholds), (chart) => drawMarks(chart, marks)],
      setCursor: [(chart) => nameMarks(chart, marks)],
    },
  };
}

function range(low: number | null, high: number | null, thresholds: readonly Threshold[]): [number, number] {
  const top = Math.max(high ?? 0, ...thresholds.map((threshold) => threshold.value), 1);
  return [Math.min(0, low ?? 0), top * 1.1];
}

function timeLabel(ticks: readonly number[]): (tick: number) => string {
  const isDays = (ticks.at(-1) ?? 0) - (ticks[0] ?? 0) > 2 * 86_400;
  const options: Intl.DateTimeFormatOptions = isDays ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
  return (tick) => new Date(tick * 1000).toLocaleString("en-GB", options);
}

/** A point between two gaps has no line through it: such points, and no others, get a dot. */
function lonePoints(chart: uPlot, series: number): number[] {
  const values = chart.data[series] ?? [];
  const isKnown = (index: number) => (values[index] ?? null) !== null;
  return Array.from(values.keys()).filter((index) => isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1));
}

function labels(line: Line | undefined): (chart: uPlot, ticks: number[]) => string[] {
  return (_chart, ticks) => ticks.map((tick) => line?.format(tick) ?? "");
}

function drawThresholds(chart: uPlot, thresholds: readonly Threshold[]): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = colour("--threshold");
  ctx.fillStyle = ctx.strokeStyle;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.font = `${10 * devicePixelRatio}px system-ui`;
  ctx.textAlign = "right";
  for (const threshold of thresholds) {
    const y = chart.valToPos(threshold.value, "y", true);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillText(threshold.label, bbox.left + bbox.width - 2, y - 3 * devicePixelRatio);
  }
  ctx.restore();
}

const LABEL_HEIGHT = 12;

/** A thin line for each mark, its label at the foot, where thresholds have none. */
function drawMarks(chart: uPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = chart;
  const xOf = (mark: Mark) => chart.valToPos(mark.at, "x", true);
  const foot = bbox.top + bbox.height;
  const gap = 3 * devicePixelRatio;
  const height = LABEL_HEIGHT * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = colour("--mark");
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${10 * devicePixelRatio}px system-ui`;
  ctx.textBaseline = "bottom";
  const widthOf = (mark: Mark) => ctx.measureText(mark.label).width + 2 * gap;
  const places = labelPlaces(marks, xOf, widthOf, bbox.left + bbox.width);
  for (const mark of marks) {
    // On whole pixels, else a thin line is two grey ones.
    const x = Math.round(xOf(mark)) - devicePixelRatio / 2;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, foot);
    ctx.stroke();
    const left = places.get(mark);
    if (left === undefined) continue;
    ctx.fillStyle = colour("--surface");
    ctx.fillRect(left + devicePixelRatio, foot - height, widthOf(mark) - 2 * devicePixelRatio, height);
    ctx.fillStyle = ctx.strokeStyle;
    ctx.fillText(mark.label, left + gap, foot);
  }
  ctx.restore();
}

/** The browser's own tooltip says all of a mark. */
function nameMarks(chart: uPlot, marks: readonly Mark[]): void {
  const text = marksNear(marks, chart.cursor.left ?? -1, (mark) => chart.valToPos(mark.at, "x"));
  if (chart.over.title !== text) chart.over.title = text;
}
