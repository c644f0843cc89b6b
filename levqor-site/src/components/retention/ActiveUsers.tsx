import { DayPlot, type Plot } from "@/components/DayPlot";
import { Legend } from "@/components/Legend";
import { Panel } from "@/components/ui/Panel";
import type { Schemas } from "@/lib/api";
import { dayText, longDay } from "@/lib/days";
import { count } from "@/lib/format";
import { rangeOf } from "@/lib/scale";

import { type Day, type Point, pointsOf, pointText, strokesOf, type Window } from "./activeDays";
import styles from "./ActiveUsers.module.css";

const HEIGHT = 240;
const LINES: readonly { window: Window; label: string; series: number }[] = [
  { window: "dau", label: "DAU (that day)", series: 1 },
  { window: "wau", label: "WAU (7 days)", series: 2 },
  { window: "mau", label: "MAU (30 days)", series: 3 },
];

/** Distinct people by day and over the 7 and 30 days that end with it; the day that is not over stands apart. */
export function ActiveUsers({ retention, isStale }: { retention: Schemas["Retention"]; isStale: boolean }) {
  const days: Day[] = [...[...retention.metrics].reverse(), retention.today];
  const last = days.length - 1;
  const lines = LINES.map((line) => ({ ...line, points: pointsOf(days, line.window) }));
  const range = rangeOf(
    lines.flatMap((line) => line.points.flatMap((point) => (point.value === null ? [] : [point.value]))),
    5,
    true,
  );
  const isShort = days.some((day) => day.is_recorded && !day.mau_complete);
  return (
    <Panel title={`Active users, ${last} days`} aside={<span>days of {retention.zone}</span>} isStale={isStale}>
      <Legend
        keys={lines.map((line) => ({
          label: line.label,
          series: line.series,
          shape: "line",
          value: pointText(line.points[last - 1], count),
        }))}
      />
      <DayPlot
        label={`Daily, weekly and monthly active users from ${longDay(days[0]?.day ?? "")} to today; the table below has the figures`}
        columns={days.map((day) => dayText(day.day))}
        range={range}
        format={count}
        height={HEIGHT}
        border={last}
        titles={days.map((day, column) => titleOf(day.day, column === last, lines.map((line) => [line.label, line.points[column]])))}
      >
        {(plot) => lines.map((line) => <Line key={line.window} points={line.points} series={line.series} plot={plot} last={last} />)}
      </DayPlot>
      <p className={styles.note}>
        Right of the dotted border: today so far, which is not over.
        {isShort && ` Dotted lines: the history begins on ${longDay(retention.history_from ?? "")} and is shorter than the window, so the figure is not the whole one yet.`}
      </p>
      <div className="visually-hidden">
        <table>
          <caption>Active users by day, the newest first</caption>
          <thead>
            <tr>
              <th scope="col">day</th>
              {lines.map((line) => (
                <th key={line.window} scope="col">
                  {line.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days
              .map((day, column) => (
                <tr key={day.day}>
                  <th scope="row">
                    {longDay(day.day)}
                    {column === last && ", so far"}
                  </th>
                  {lines.map((line) => (
                    <td key={line.window}>{pointText(line.points[column], count)}</td>
                  ))}
                </tr>
              ))
              .reverse()}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Line({ points, series, plot, last }: { points: readonly Point[]; series: number; plot: Plot; last: number }) {
  const at = (column: number) => `${plot.x(column).toFixed(1)} ${plot.y(points[column]?.value ?? 0).toFixed(1)}`;
  const today = points[last]?.value ?? null;
  return (
    <>
      {strokesOf(points.slice(0, last)).map((stroke) => (
        <path
          key={stroke.columns[0]}
          className={styles.line}
          data-series={series}
          data-short={!stroke.isComplete || undefined}
          d={stroke.columns.length === 1 ? `M${at(stroke.columns[0] ?? 0)}h0.1` : `M${stroke.columns.map(at).join("L")}`}
        />
      ))}
      {today !== null && <circle className={styles.today} data-series={series} cx={plot.x(last)} cy={plot.y(today)} r="3.5" />}
    </>
  );
}

function titleOf(day: string, isToday: boolean, figures: [string, Point | undefined][]): string {
  return [`${longDay(day)}${isToday ? ", so far" : ""}`, ...figures.map(([label, point]) => `${label}: ${pointText(point, count)}`)].join("\n");
}
