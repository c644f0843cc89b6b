import { Panel } from "@/components/ui/Panel";
import type { Chart } from "@/lib/api";
import { percent, UNKNOWN, utc } from "@/lib/format";

import styles from "./AvailabilityStrip.module.css";

const DAY_S = 86_400;
const DAYS = 30;

interface Day {
  start: number;
  availability: number | null;
}

interface Props {
  month: Chart | undefined;
  /** The availability that is promised, 0..1. */
  objective: number;
  problem: string | undefined;
}

/** A bar for each of the last 30 days; a day without probes is hollow, not green. */
export function AvailabilityStrip({ month, objective, problem }: Props) {
  const days = month === undefined ? [] : daysOf(month);
  const worst = days.reduce<number | null>((low, day) => (day.availability === null ? low : Math.min(low ?? 1, day.availability)), null);
  return (
    <Panel
      title="Availability, by day (UTC)"
      aside={<span>worst day {percent(worst, 3)}</span>}
      problem={problem}
      empty={month !== undefined && worst === null ? <p>No hour has been rolled up yet: the first bar comes within the hour.</p> : undefined}
    >
      <ol className={styles.strip}>
        {days.map((day) => {
          const text = `${utc(day.start * 1000).slice(0, 10)}: ${day.availability === null ? UNKNOWN : percent(day.availability, 3)}`;
          return (
            <li key={day.start} data-state={stateOf(day.availability, objective)} title={text}>
              <span className="visually-hidden">{text}</span>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}

/** A day may use up more than its share of the month: red is ten times as much as is allowed. */
function stateOf(availability: number | null, objective: number): string {
  if (availability === null) return "unknown";
  if (availability >= objective) return "ok";
  return 1 - availability <= 10 * (1 - objective) ? "watch" : "act";
}

/** Hours to days; the mean of the hours that were measured. */
export function daysOf(month: Chart): Day[] {
  const values = month.lines["availability"] ?? [];
  const last = month.at.at(-1);
  if (last === undefined) return [];
  const today = Math.floor(last / DAY_S) * DAY_S;
  return Array.from({ length: DAYS }, (_, index) => {
    const start = today - (DAYS - 1 - index) * DAY_S;
    const hours = values.filter((value, at): value is number => {
      const time = month.at[at] ?? 0;
      return value !== null && time >= start && time < start + DAY_S;
    });
    return { start, availability: hours.length === 0 ? null : hours.reduce((sum, hour) => sum + hour, 0) / hours.length };
  });
}
