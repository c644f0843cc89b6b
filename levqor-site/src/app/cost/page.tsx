"use client";

import { BudgetPanel, Brake } from "@/components/cost/Brake";
import { Breakdown } from "@/components/cost/Breakdown";
import { Headline } from "@/components/cost/Headline";
import { LedgerTable } from "@/components/cost/LedgerTable";
import { OtherCurrencies } from "@/components/cost/OtherCurrencies";
import { Sources } from "@/components/cost/Sources";
import { SpendChart } from "@/components/cost/SpendChart";
import { PageTitle } from "@/components/PageTitle";
import { Waiting } from "@/components/Waiting";
import { type Read, useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import type { Schemas } from "@/lib/api";

import styles from "./page.module.css";

const TODAY_MS = 15_000;
const FORECAST_MS = 60_000;
const DAYS_MS = 120_000;

/** What it costs, what it will cost, and when that is too much. */
export default function CostPage() {
  const today = useApi<Schemas["CostToday"]>("/ops/cost/today", TODAY_MS);
  const forecast = useApi<Schemas["CostForecast"]>("/ops/cost/forecast", FORECAST_MS);
  const days = useApi<Schemas["CostDays"]>("/ops/cost/daily?days=30", DAYS_MS);
  const now = useNow();
  if (today.data === undefined) return <Waiting error={today.error} />;
  const isOld = (read: Read<unknown>) => read.data !== undefined && (read.isStaleAt(now) || read.error !== undefined);
  const elapsedS = now > 0 ? Math.max(0, now - today.receivedAt) / 1000 : 0;
  const problem = forecast.data === undefined ? forecast.error?.message : undefined;
  return (
    <>
      <PageTitle title="Cost" lead="What it costs, what the next 30 days are expected to, and when that is too much." />
      <div className={styles.stack}>
        <Headline today={today.data} forecast={forecast.data} problem={problem} elapsedS={elapsedS} />
        <OtherCurrencies sums={forecast.data?.other_currencies ?? today.data.other_currencies} />
        <SpendChart
          costs={days.data}
          forecast={forecast.data}
          problem={days.data === undefined ? days.error?.message : undefined}
          isStale={isOld(days)}
        />
        <div className={styles.columns}>
          <Breakdown forecast={forecast.data} today={today.data} problem={problem} isStale={isOld(forecast)} onRenewed={forecast.refresh} />
          <div className={styles.side}>
            <Brake today={today.data} elapsedS={elapsedS} isStale={isOld(today)} />
            <BudgetPanel today={today.data} budget={forecast.data?.budget ?? null} isStale={isOld(today)} />
            <Sources sources={forecast.data?.sources ?? today.data.sources} isStale={isOld(today)} />
          </div>
        </div>
        <LedgerTable />
      </div>
    </>
  );
}
