"use client";

import type { ReactNode } from "react";

import { useWidth } from "@/hooks/useWidth";
import { type Box, type Range, yOf } from "@/lib/scale";

import styles from "./DayPlot.module.css";

const GUTTER = 44;
const FOOT = 18;
const HEAD = 8;
const LABEL_WIDTH = 58;

/** Where things are in a plot: each column has a place of its own, values rise from the bottom. */
export interface Plot extends Box {
  columnWidth: number;
  /** The middle of a column. */
  x: (column: number) => number;
  y: (value: number) => number;
}

interface Props {
  /** What the picture shows, in a sentence; its figures are in the table beside it. */
  label: string;
  /** What is under each column, in words; as many are written as there is room for. */
  columns: readonly string[];
  range: Range;
  format: (value: number) => string;
  height: number;
  /** The first column of another sort, such as today or what is forecast: a line is drawn before it. */
  border?: number | undefined;
  /** What each column says when it is pointed at. */
  titles?: readonly string[];
  children: (plot: Plot) => ReactNode;
}

/** Axes over days or steps, drawn in pixels so that words keep their size on any screen. */
export function DayPlot({ label, columns, range, format, height, border, titles = [], children }: Props) {
  const { place, width } = useWidth();
  const box: Box = { left: GUTTER, right: Math.max(GUTTER + 1, width - 4), top: HEAD, bottom: height - FOOT };
  const columnWidth = (box.right - box.left) / Math.max(1, columns.length);
  const plot: Plot = {
    ...box,
    columnWidth,
    x: (column) => box.left + (column + 0.5) * columnWidth,
    y: (value) => yOf(value, range, box),
  };
  const every = Math.max(1, Math.ceil((columns.length * LABEL_WIDTH) / (box.right - box.left)));
  return (
    <div ref={place} className={styles.place}>
      <svg width={Math.max(1, width)} height={height} role="img" aria-label={label}>
        {width > 0 && (
          <>
            <g className={styles.grid}>
              {range.ticks.map((tick) => (
                <line key={tick} x1={box.left} x2={box.right} y1={plot.y(tick)} y2={plot.y(tick)} data-zero={tick === 0 || undefined} />
              ))}
            </g>
            <g className={`${styles.labels} ${styles.values}`}>
              {range.ticks.map((tick) => (
                <text key={tick} x={box.left - 6} y={plot.y(tick)}>
                  {format(tick)}
                </text>
              ))}
            </g>
            <g className={`${styles.labels} ${styles.days}`}>
              {columns.map((name, column) =>
                isNamed(column, every, columns.length) ? (
                  <text key={name} x={plot.x(column)} y={height - 4}>
                    {name}
                  </text>
                ) : null,
              )}
            </g>
            {border !== undefined && <Border before={border} plot={plot} />}
            {children(plot)}
            {titles.map((title, column) => (
              <rect
                key={title}
                className={styles.column}
                x={plot.x(column) - columnWidth / 2}
                width={columnWidth}
                y={plot.top}
                height={plot.bottom - plot.top}
              >
                <title>{title}</title>
              </rect>
            ))}
          </>
        )}
      </svg>
    </div>
  );
}

function Border({ before, plot }: { before: number; plot: Plot }) {
  const x = plot.x(before) - plot.columnWidth / 2;
  return <line className={styles.border} x1={x} x2={x} y1={plot.top} y2={plot.bottom} />;
}

/** Counted from the first, and none so near the edge that half of it would be cut off. */
function isNamed(column: number, every: number, count: number): boolean {
  return column % every === Math.floor(every / 2) && (every === 1 || column < count - every / 3);
}
