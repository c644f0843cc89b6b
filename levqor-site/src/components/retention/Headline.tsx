import { Figure } from "@/components/ui/Figure";
import type { Schemas } from "@/lib/api";
import { dayText } from "@/lib/days";
import { count, percent } from "@/lib/format";

import { pointsOf, pointText, type Window } from "./activeDays";
import styles from "./Headline.module.css";

type Retention = Schemas["Retention"];

const BACK = [
  ["d1", "Back on day 1"],
  ["d7", "Back on day 7"],
  ["d30", "Back on day 30"],
] as const;

/** The figures of the last closed day, and how many of those who were new came back. */
export function Headline({ retention }: { retention: Retention }) {
  const last = retention.metrics[0];
  const { stickiness } = retention;
  const text = (window: Window) => pointText(last === undefined ? undefined : pointsOf([last], window)[0], count);
  return (
    <div className={styles.figures}>
      <Figure label="Daily active" value={text("dau")} note={last === undefined ? "no closed day" : `on ${dayText(last.day)}; today so far ${count(retention.today.dau)}`} />
      <Figure label="Weekly active" value={text("wau")} note={last?.wau_complete === false ? "the history is shorter than 7 days" : "7 days that end with it"} />
      <Figure label="Monthly active" value={text("mau")} note={last?.mau_complete === false ? "the history is shorter than 30 days" : "30 days that end with it"} />
      <Figure
        label="Stickiness, DAU / MAU"
        value={stickiness.ratio === null ? "not yet" : percent(stickiness.ratio, 1)}
        tone={stickiness.ratio === null ? "unknown" : "plain"}
        note={stickiness.mean_7d === null ? "needs 30 days of history" : `mean of 7 days ${percent(stickiness.mean_7d, 1)}`}
      />
      {BACK.map(([name, label]) => {
        const pool = retention.cohorts[name];
        return (
          <Figure
            key={name}
            label={label}
            value={pool.rate === null ? "not yet" : percent(pool.rate, 1)}
            tone={pool.rate === null ? "unknown" : "plain"}
            note={pool.rate === null ? "no cohort is so old" : `${count(pool.retained)} of ${count(pool.users)}`}
          />
        );
      })}
    </div>
  );
}
