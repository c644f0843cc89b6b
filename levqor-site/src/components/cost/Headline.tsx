import { Figure } from "@/components/ui/Figure";
import type { Schemas } from "@/lib/api";
import { money, percent, UNKNOWN } from "@/lib/format";
import { isUnknown, signalNote, signalText } from "@/lib/signals";

import { isNothingSet } from "./behind";
import styles from "./Headline.module.css";

type Today = Schemas["CostToday"];
type Forecast = Schemas["CostForecast"];

interface Props {
  today: Today;
  forecast: Forecast | undefined;
  problem: string | undefined;
  /** Seconds since today's answer came. */
  elapsedS: number;
}

/** What today costs, how near the brake is, and what the next 30 days are expected to bring. */
export function Headline({ today, forecast, problem, elapsedS }: Props) {
  const format = (value: number | null | undefined) => money(value, today.currency);
  const { guard, spend_last_24h: spent } = today;
  return (
    <div className={styles.figures}>
      <TodayFigure today={today} />
      <Figure
        label="Last 24 h, what the brake counts"
        value={signalText(spent, format)}
        note={brakeNote(today, elapsedS)}
        tone={isUnknown(spent) || spent.state !== "value" ? "unknown" : guard.spend === "frozen" ? "watch" : "plain"}
      />
      <ForecastFigure forecast={forecast} problem={problem} />
      <MarginFigure forecast={forecast} problem={problem} />
    </div>
  );
}

function TodayFigure({ today }: { today: Today }) {
  const { currency, unknown } = today;
  if (isNothingSet(today)) return <Figure label="Today, UTC" value="not configured" note="nothing that costs is set" tone="unknown" />;
  if (unknown.length > 0) {
    return <Figure label="Today, at least" value={money(today.cost, currency)} note={`${unknown.join(", ")}: never read`} tone="watch" />;
  }
  return <Figure label="Today, UTC" value={money(today.cost, currency)} note={`revenue ${money(today.revenue, currency)}`} />;
}

function brakeNote({ guard, spend_last_24h: spent, currency }: Today, elapsedS: number): string {
  const note = signalNote(spent, elapsedS);
  if (guard.limit === null) return spent.state === "value" ? "no DAILY_SPEND_LIMIT is set" : note;
  return guard.spent_share === null ? note : `${percent(guard.spent_share)} of ${money(guard.limit, currency)}, ${note}`;
}

function ForecastFigure({ forecast, problem }: { forecast: Forecast | undefined; problem: string | undefined }) {
  const label = "Next 30 days";
  if (forecast === undefined) return <Figure label={label} value={UNKNOWN} note={problem ?? "being made"} tone="unknown" />;
  if (forecast.confidence_low === null) return <Figure label={label} value={UNKNOWN} note="no whole day of cost has been seen yet" tone="unknown" />;
  const format = (value: number | null) => money(value, forecast.currency);
  return (
    <Figure
      label={label}
      value={format(forecast.forecast_next_30d)}
      note={`${format(forecast.confidence_low)} to ${format(forecast.confidence_high)} in ${percent(forecast.interval_level)} of cases${forecast.low_data ? "; little history" : ""}`}
    />
  );
}

function MarginFigure({ forecast, problem }: { forecast: Forecast | undefined; problem: string | undefined }) {
  const label = "Margin, next 30 days";
  if (forecast === undefined) return <Figure label={label} value={UNKNOWN} note={problem ?? "being made"} tone="unknown" />;
  const { margin } = forecast.breakdown;
  if (margin.forecast === null) return <Figure label={label} value={UNKNOWN} note="no revenue has been seen yet" tone="unknown" />;
  const format = (value: number | null) => money(value, forecast.currency);
  return (
    <Figure
      label={label}
      value={format(margin.forecast)}
      note={`${format(margin.low)} to ${format(margin.high)}; revenue less all cost`}
      tone={margin.forecast < 0 ? "act" : "plain"}
    />
  );
}
