import type { Schemas } from "@/lib/api";

export type Day = Schemas["ActiveUsers"];
export type Window = "dau" | "wau" | "mau";

/** One point of a line; no value where the history had not begun. */
export interface Point {
  value: number | null;
  /** Is the history as long as the window, so that the figure is the whole one? */
  isComplete: boolean;
}

/** The window's figure of each day. Before the history's first day a zero says nothing. */
export function pointsOf(days: readonly Day[], window: Window): Point[] {
  return days.map((day) => ({
    value: day.is_recorded ? day[window] : null,
    isComplete: window === "dau" || day[`${window}_complete`],
  }));
}

/** "412", "412 so far" while the history is shorter than the window, or that nothing was recorded. */
export function pointText(point: Point | undefined, format: (value: number) => string): string {
  if (point === undefined || point.value === null) return "not recorded";
  return point.isComplete ? format(point.value) : `${format(point.value)} so far`;
}

/** Consecutive columns that are drawn as one stroke: whole figures solid, others dashed; a gap ends it. */
export interface Stroke {
  isComplete: boolean;
  columns: number[];
}

/** A stroke begins where the one before it ends, so that the line does not break where its style changes. */
export function strokesOf(points: readonly Point[]): Stroke[] {
  const strokes: Stroke[] = [];
  points.forEach((point, column) => {
    if (point.value === null) return;
    const before = strokes.at(-1);
    const isNext = before?.columns.at(-1) === column - 1;
    if (before !== undefined && isNext && before.isComplete === point.isComplete) before.columns.push(column);
    else strokes.push({ isComplete: point.isComplete, columns: isNext ? [column - 1, column] : [column] });
  });
  return strokes;
}
