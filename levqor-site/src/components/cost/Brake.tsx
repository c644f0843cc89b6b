import { Panel } from "@/components/ui/Panel";
import { Pill, type Tone } from "@/components/ui/Pill";
import type { Schemas } from "@/lib/api";
import { longDay } from "@/lib/days";
import { money, percent } from "@/lib/format";
import { signalNote, signalText } from "@/lib/signals";

import styles from "./Cost.module.css";
import { Meter } from "./Meter";

type Today = Schemas["CostToday"];
type Guard = Schemas["SpendGuard"];

const TONES: Record<Guard["spend"], Tone> = { allowed: "ok", frozen: "act", unknown: "unknown", not_configured: "plain" };
const SPEND_FREEZES_AT = 0.9;
const FORECAST_FREEZES_AT = 0.8;

/** May money allow a step up, and what the brake read to say so. */
export function Brake({ today, elapsedS, isStale }: { today: Today; elapsedS: number; isStale: boolean }) {
  const { guard, spend_last_24h: spent, forecast_next_30d: forecast } = today;
  const format = (value: number) => money(value, today.currency);
  return (
    <Panel title="Brake" aside={<Pill tone={TONES[guard.spend]}>{guard.spend.replace("_", " ")}</Pill>} isStale={isStale}>
      <div className={styles.stack}>
        <p className={styles.sentence}>{guard.text}.</p>
        <div className="scrolls" tabIndex={0} role="region" aria-label="What the brake read">
          <table>
            <tbody>
              <tr>
                <th scope="row">daily limit</th>
                <td className={styles.amount}>{guard.limit === null ? "not set" : format(guard.limit)}</td>
                <td className={styles.note}>{guard.limit === null ? "DAILY_SPEND_LIMIT" : `counts ${guard.categories.join(", ")}`}</td>
              </tr>
              <tr>
                <th scope="row">spent in 24 h</th>
                <td className={styles.amount}>{signalText(spent, format)}</td>
                <td className={styles.note}>{shareOr(guard.spent_share, `frozen from ${percent(SPEND_FREEZES_AT)}`, signalNote(spent, elapsedS))}</td>
              </tr>
              <tr>
                <th scope="row">a day of the forecast</th>
                <td className={styles.amount}>{signalText(forecast, () => money(guard.forecast_day, today.currency))}</td>
                <td className={styles.note}>
                  {shareOr(guard.forecast_share, `frozen above ${percent(FORECAST_FREEZES_AT)}`, forecast.detail || signalNote(forecast, elapsedS))}
                </td>
              </tr>
            </tbody>
          </table>
        </div>
        {guard.spent_share !== null && (
          <Meter share={guard.spent_share} marks={[SPEND_FREEZES_AT]} tone={guard.spent_share >= SPEND_FREEZES_AT ? "act" : "plain"} />
        )}
      </div>
    </Panel>
  );
}

function shareOr(share: number | null, bound: string, note: string): string {
  return share === null ? note : `${percent(share)} of the limit; ${bound}`;
}

/** What the period's budget has left, and how long it is expected to last. */
export function BudgetPanel({ today, budget, isStale }: { today: Today; budget: Schemas["ForecastBudget"] | null; isStale: boolean }) {
  const own = today.budget;
  const format = (value: number) => money(value, today.currency);
  return (
    <Panel
      title="Budget"
      aside={own !== null && <span>{own.period === "month" ? "the calendar month" : "the UTC day"}, all costs</span>}
      isStale={isStale}
      empty={
        own === null ? (
          <p>
            No budget: <code>DAILY_SPEND_LIMIT</code> sets one, <code>BUDGET_PERIOD</code> says whether it is by day or by month.
          </p>
        ) : undefined
      }
    >
      {own !== null && (
        <div className={styles.stack}>
          <p>
            <strong>{percent(own.percent / 100, 1)}</strong> used: {format(own.spent)} of {format(own.amount)}
          </p>
          <Meter
            share={own.percent / 100}
            marks={own.alerts.map((alert) => alert / 100)}
            tone={own.percent >= 100 ? "act" : own.percent >= 80 ? "watch" : "plain"}
          />
          <p>{lastsText(own, budget)}</p>
          <p className={styles.note}>
            Alerts at {own.alerts.map((alert) => `${alert} %`).join(", ")};{" "}
            {own.told.length === 0 ? "none was sent in this period" : `sent: ${own.told.map((told) => `${told} %`).join(", ")}`}.
          </p>
        </div>
      )}
    </Panel>
  );
}

function lastsText(own: Schemas["CostBudget"], budget: Schemas["ForecastBudget"] | null): string {
  if (own.percent >= 100) return "It is used up.";
  // The forecast may be of the period before.
  if (budget === null || budget.key !== own.key) return "How long it lasts is not known: there is no forecast of this period.";
  if (budget.used_up_on !== null) return `Expected to be used up on ${longDay(budget.used_up_on)}${earliest(budget)}.`;
  return `Expected to last the period${budget.used_up_on_earliest === null ? ", also at the upper end of the band" : earliest(budget)}.`;
}

function earliest(budget: Schemas["ForecastBudget"]): string {
  const { used_up_on_earliest: day, used_up_on: expected } = budget;
  return day === null || day === expected ? "" : `; at the upper end of the band on ${longDay(day)}`;
}
