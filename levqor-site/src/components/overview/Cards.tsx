import Link from "next/link";

import { isNothingSet } from "@/components/cost/behind";
import { Figure } from "@/components/ui/Figure";
import type { Budget, Overview, Schemas } from "@/lib/api";
import { count, money, percent, span, UNKNOWN } from "@/lib/format";
import { isUnknown, signalNote, signalText } from "@/lib/signals";

import styles from "./Cards.module.css";

interface Props {
  overview: Overview;
  /** Seconds since the answer came. */
  elapsedS: number;
}

/** The four numbers that somebody who is woken asks for. */
export function Cards({ overview, elapsedS }: Props) {
  const { signals } = overview.status;
  const wait = signals.oldest_wait_s;
  const dead = signals.dead;
  return (
    <div className={styles.cards}>
      <Figure
        label="Oldest wait"
        value={signalText(wait, span)}
        note={`${signalText(signals.queue_depth, count)} waiting, ${signalNote(signals.queue_depth, elapsedS)}`}
        tone={isUnknown(wait) ? "unknown" : "plain"}
      />
      <Figure
        label="Dead letters"
        value={signalText(dead, count)}
        note={dead?.value ? <Link href="/incidents" prefetch={false}>look at them</Link> : signalNote(dead, elapsedS)}
        tone={isUnknown(dead) ? "unknown" : dead?.value ? "watch" : "plain"}
      />
      <BudgetCard budgets={overview.budgets} problem={overview.unavailable["budgets"]} />
      <SpendCard spend={overview.spend} problem={overview.unavailable["spend"]} />
    </div>
  );
}

function BudgetCard({ budgets, problem }: { budgets: Overview["budgets"]; problem: string | undefined }) {
  const worst = worstOf(budgets ?? {});
  if (worst === null) return <Figure label="Error budget, 30 days" value={UNKNOWN} note={problem ?? "nothing measured yet"} tone="unknown" />;
  const [name, left] = worst;
  return (
    <Figure
      label="Error budget, 30 days"
      value={left < 0 ? "used up" : `${percent(left)} left`}
      note={problem ?? <Link href="/slos" prefetch={false}>{left < 0 ? `${name}, ${percent(-left)} over` : `${name} has the least`}</Link>}
      tone={problem !== undefined ? "unknown" : left <= 0 ? "act" : left < 0.25 ? "watch" : "plain"}
    />
  );
}

function worstOf(budgets: Record<string, Budget>): [string, number] | null {
  const known = Object.entries(budgets).flatMap(([name, budget]): [string, number][] =>
    budget.budget_left === null ? [] : [[name, budget.budget_left]],
  );
  return known.reduce<[string, number] | null>((worst, next) => (worst === null || next[1] < worst[1] ? next : worst), null);
}

function SpendCard({ spend, problem }: { spend: Overview["spend"]; problem: string | undefined }) {
  const today = spend?.today ?? null;
  if (spend === null || today === null) return <Figure label="Spend today" value={UNKNOWN} note={problem ?? "no ledger"} tone="unknown" />;
  if (isNothingSet(today)) {
    return <Figure label="Spend today" value="not configured" note={<Link href="/cost" prefetch={false}>what can be counted</Link>} tone="unknown" />;
  }
  const forecast = spend.forecast;
  const month = forecast === null ? "no forecast yet" : `next 30 days ${money(forecast.forecast_next_30d, today.currency)}${rangeOf(forecast, today.currency)}`;
  return (
    <Figure
      label="Spend today"
      value={money(today.cost, today.currency)}
      note={problem ?? <Link href="/cost" prefetch={false}>{month}</Link>}
      tone={problem === undefined ? "plain" : "unknown"}
    />
  );
}

/** The interval, where there is data enough for one. */
function rangeOf({ confidence_low: low, confidence_high: high }: Schemas["CostForecast"], currency: string): string {
  return low === null || high === null ? "" : ` (${money(low, currency)} to ${money(high, currency)})`;
}
