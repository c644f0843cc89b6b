"use client";

import { useEffect, useMemo, useState } from "react";
import type uPlot from "uplot";

import { useChart } from "@/hooks/useChart";
import { chartOptions, type Line, reading, type Threshold } from "@/lib/charts";
import { moment } from "@/lib/format";
import { type Mark, tableRows } from "@/lib/marks";

import styles from "./TimeChart.module.css";

export interface ChartLine extends Line {
  values: readonly (number | null)[];
}

interface Props {
  title: string;
  /** Epoch seconds of each point. */
  at: readonly number[];
  lines: readonly ChartLine[];
  thresholds?: readonly Threshold[];
  marks?: readonly Mark[];
  height: number;
  /** Charts of one group share their cursor. */
  group: string;
  hasTimes?: boolean;
}

const NO_THRESHOLDS: readonly Threshold[] = [];
const NO_MARKS: readonly Mark[] = [];
const TABLE_ROWS = 60;

/** Lines over time on a canvas, with their newest values in words and a table for who cannot see it. */
export function TimeChart({ title, at, lines, thresholds = NO_THRESHOLDS, marks = NO_MARKS, height, group, hasTimes = true }: Props) {
  const drawing = useDrawing();
  const shape = lines.map((line) => `${line.label}|${line.token}`).join();
  const levels = thresholds.map((threshold) => `${threshold.value}|${threshold.label}`).join();
  const moments = marks.map((mark) => `${mark.at}|${mark.text}`).join();
  const options = useMemo(
    () => (drawing === null ? null : chartOptions(lines, thresholds, marks, height, group, drawing.step, hasTimes)),
    // The lines' shape, the thresholds and the marks say when it must be made anew; their values are set into it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [drawing, shape, levels, moments, height, group, hasTimes],
  );
  const data = useMemo(() => [at, ...lines.map((line) => line.values)] as unknown as uPlot.AlignedData, [at, lines]);
  return (
    <figure className={styles.figure}>
      <figcaption className={styles.caption}>
        <span>{title}</span>
        {lines.map((line) => (
          <span key={line.label} className={styles.key}>
            <svg className={styles.swatch} viewBox="0 0 14 4" aria-hidden="true" data-token={line.token} data-dashed={line.isDashed || undefined}>
              <path d="M0 2h14" />
            </svg>
            {line.label} <strong>{reading(line, line.values.at(-1))}</strong>
          </span>
        ))}
      </figcaption>
      {options === null ? <div className={styles.blank} /> : <Canvas options={options} data={data} />}
      <div className="visually-hidden">
        <table>
          <caption>{title}, the newest first</caption>
          <thead>
            <tr>
              <th scope="col">time</th>
              {lines.map((line) => (
                <th key={line.label} scope="col">
                  {line.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tableRows(at, marks, TABLE_ROWS).map((row) => (
              <tr key={"mark" in row ? `${row.at} ${row.mark.text}` : row.at}>
                <th scope="row">{moment(row.at * 1000)}</th>
                {"mark" in row ? (
                  <td colSpan={lines.length}>{row.mark.text}</td>
                ) : (
                  lines.map((line) => <td key={line.label}>{reading(line, line.values[row.index])}</td>)
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

function Canvas({ options, data }: { options: Omit<uPlot.Options, "width">; data: uPlot.AlignedData }) {
  const place = useChart(options, data);
  return <div ref={place} className={styles.canvas} aria-hidden="true" />;
}

interface Drawing {
  scheme: string;
  step: uPlot.Series.PathBuilder | null;
}

/** Colours are read when a chart is made: another colour scheme makes it anew. Null before the page is there. */
function useDrawing(): Drawing | null {
  const [drawing, setDrawing] = useState<Drawing | null>(null);
  useEffect(() => {
    let isGone = false;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const make = () =>
      void import("uplot").then(({ default: Chart }) => {
        if (!isGone) setDrawing({ scheme: dark.matches ? "dark" : "light", step: Chart.paths.stepped?.({ align: 1 }) ?? null });
      });
    make();
    dark.addEventListener("change", make);
    return () => {
      isGone = true;
      dark.removeEventListener("change", make);
    };
  }, []);
  return drawing;
}
