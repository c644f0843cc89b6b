"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Panel } from "@/components/ui/Panel";
import { Time } from "@/components/ui/Time";
import { useSession } from "@/hooks/useSession";
import { get, type Schemas } from "@/lib/api";
import { amount, percent, UNKNOWN } from "@/lib/format";

import { isAnyBehind, isNothingSet, soFar } from "./behind";
import styles from "./Cost.module.css";

type Forecast = Schemas["CostForecast"];
type Figure = Schemas["CostFigure"];

interface Props {
  forecast: Forecast | undefined;
  today: Schemas["CostToday"];
  problem: string | undefined;
  isStale: boolean;
  /** Called when a new forecast has been made. */
  onRenewed: () => Promise<void>;
}

/** Today and the next 30 days by what it is for; cost below, revenue and margin at the end. */
export function Breakdown({ forecast, today, problem, isStale, onRenewed }: Props) {
  return (
    <Panel
      title={`By category, ${today.currency.toUpperCase()}`}
      aside={<Renew onRenewed={onRenewed} />}
      problem={problem}
      isStale={isStale}
      empty={emptyOf(forecast, today)}
    >
      {forecast !== undefined && <Figures forecast={forecast} today={today} />}
    </Panel>
  );
}

function emptyOf(forecast: Forecast | undefined, today: Schemas["CostToday"]) {
  if (forecast === undefined) return <p aria-busy="true">Being made…</p>;
  if (forecast.confidence_low !== null || !isNothingSet(today)) return undefined;
  return <p>The forecast begins with the first whole day of cost.</p>;
}

function Figures({ forecast, today }: { forecast: Forecast; today: Schemas["CostToday"] }) {
  const { breakdown } = forecast;
  const lines = Object.entries(breakdown.infra.lines);
  return (
    <>
      <div className={styles.scroll} tabIndex={0} role="region" aria-label="Cost by category">
        <table>
          <thead>
            <tr>
              <th scope="col">what for</th>
              <th scope="col" className={styles.amount}>
                today so far
              </th>
              <th scope="col" className={styles.amount}>
                next 30 days
              </th>
              <th scope="col" className={styles.amount}>
                from
              </th>
              <th scope="col" className={styles.amount}>
                to
              </th>
              <th scope="col" className={styles.amount}>
                error
              </th>
            </tr>
          </thead>
          <tbody>
            <Row name="workers" figure={breakdown.workers} today={amount(today.by_category["workers"])} />
            <Row name="infrastructure" figure={breakdown.infra} today={amount(today.by_category["infra"])} />
            {lines.length > 1 && lines.map(([name, figure]) => <Row key={name} name={figure.is_fixed ? `${name}, fixed` : name} figure={figure} isInner />)}
            <Row name="AI" figure={breakdown.openai} today={soFar(today.by_category["ai"], ["openai"], today.sources)} />
            <Row name="fees" figure={breakdown.stripe_fees} today={soFar(today.by_category["fees"], ["stripe"], today.sources)} />
            <Row name="all cost" figure={breakdown.total_cost} today={soFar(today.cost, ["openai", "stripe"], today.sources)} isSum />
            <Row name="revenue" figure={breakdown.stripe_charges} today={soFar(today.by_category["revenue"], ["stripe"], today.sources)} />
            <Row name="margin" figure={breakdown.margin} today={isAnyBehind(["openai", "stripe"], today.sources) ? UNKNOWN : amount(today.revenue - today.cost)} isSum />
          </tbody>
        </table>
      </div>
      <p className={styles.note}>
        Made <Time at={forecast.computed_at} /> by <code>{forecast.method}</code>. Error: mean relative error on your own past days; –: too few to
        tell. {coverageText(forecast.coverage_so_far)}
        {forecast.unknown.length > 0 && ` In no figure, since nothing whole is known of them: ${forecast.unknown.join(", ")}.`}
        {forecast.low_data && " Some of it rests on less than 28 days."}
      </p>
    </>
  );
}

interface RowProps {
  name: string;
  figure: Figure;
  /** So far, in words. */
  today?: string;
  isSum?: boolean;
  isInner?: boolean;
}

function Row({ name, figure, today, isSum = false, isInner = false }: RowProps) {
  return (
    <tr className={isSum ? styles.sum : isInner ? styles.inner : undefined}>
      <th scope="row">{name}</th>
      <td className={styles.amount}>{today}</td>
      {figure.forecast === null ? (
        <td className={styles.amount} colSpan={3}>
          nothing seen yet
        </td>
      ) : (
        <>
          <td className={styles.amount}>{amount(figure.forecast)}</td>
          <td className={styles.amount}>{amount(figure.low)}</td>
          <td className={styles.amount}>{amount(figure.high)}</td>
        </>
      )}
      <td className={styles.amount}>{figure.error === null ? "–" : percent(figure.error, 1)}</td>
    </tr>
  );
}

/** What past forecasts were worth, as far as their days are over. */
export function coverageText({ share, count, level }: Schemas["Coverage"]): string {
  if (share === null) return `Whether ${percent(level)} of forecasts hold what comes is not proven yet: the 30 days of none are over.`;
  return `Of ${count} past ${count === 1 ? "forecast whose 30 days are" : "forecasts whose 30 days are"} over, ${percent(share)} held what came; ${percent(level)} are promised.`;
}

/** Nothing is at stake in a new forecast, so nothing is asked. */
function Renew({ onRenewed }: { onRenewed: () => Promise<void> }) {
  const session = useSession();
  const [isBusy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const isSignedIn = session.data?.signed_in === true;

  async function renew() {
    setBusy(true);
    setRefusal(null);
    try {
      await get<Forecast>("/ops/cost/forecast?refresh=true");
      await onRenewed();
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "it did not work");
    }
    setBusy(false);
  }

  return (
    <>
      {refusal !== null && (
        <span className={styles.refusal} role="alert">
          {refusal}
        </span>
      )}
      <Button disabled={!isSignedIn || isBusy} title={isSignedIn ? undefined : "Sign in first"} onClick={() => void renew()}>
        {isBusy ? "Making it…" : "Make anew"}
      </Button>
    </>
  );
}
