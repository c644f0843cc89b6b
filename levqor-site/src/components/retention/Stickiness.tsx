import { DayPlot } from "@/components/DayPlot";
import { Panel } from "@/components/ui/Panel";
import type { Schemas } from "@/lib/api";
import { longDay } from "@/lib/days";
import { count, percent, plural } from "@/lib/format";
import { rangeOf } from "@/lib/scale";

import styles from "./Stickiness.module.css";

const HEIGHT = 200;

/** On how many of the last 28 days people came: habit, where the ratio of the day to the month only hints at it. */
export function Stickiness({ stickiness, isStale }: { stickiness: Schemas["Stickiness"]; isStale: boolean }) {
  const { days, users } = stickiness.active_days;
  const everybody = users.reduce((sum, number) => sum + number, 0);
  const text = (index: number) =>
    `${plural(users[index] ?? 0, "person")} on ${plural(index + 1, "day")}`.replace("persons", "people") +
    (everybody > 0 ? `, ${percent((users[index] ?? 0) / everybody, 1)}` : "");
  return (
    <Panel
      title="Active days"
      aside={<span>to {longDay(stickiness.day)}</span>}
      isStale={isStale}
      empty={everybody === 0 ? <p>Nobody was active in these {days} days.</p> : undefined}
    >
      <p className={styles.note}>How many people were active on exactly 1, 2, … of the last {days} days.</p>
      <DayPlot
        label={`Histogram of active days: how many of ${count(everybody)} people were active on how many of the last ${days} days`}
        columns={users.map((_, index) => String(index + 1))}
        range={rangeOf(users, 4, true)}
        format={count}
        height={HEIGHT}
      >
        {(plot) =>
          users.map((number, index) => (
            <rect
              key={index}
              className={styles.bar}
              x={plot.x(index) - plot.columnWidth * 0.4}
              width={plot.columnWidth * 0.8}
              y={plot.y(number)}
              height={Math.max(0, plot.y(0) - plot.y(number))}
            >
              <title>{text(index)}</title>
            </rect>
          ))
        }
      </DayPlot>
      <ul className="visually-hidden">
        {users.map((_, index) => (
          <li key={index}>{text(index)}</li>
        ))}
      </ul>
    </Panel>
  );
}
